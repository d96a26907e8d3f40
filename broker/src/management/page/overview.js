// The whole node at a glance.

import { h, show, count, perSecond, bytes, since, plain } from "./dom.js";
import { get, may } from "./api.js";
import { chart, rates } from "./chart.js";

export async function overview(main) {
  const tiles = h("div", { class: "tiles" });
  const depth = h("div");
  const flow = h("div");
  const memory = h("div");
  const net = h("div");
  const churn = h("div");
  const facts = h("div");
  const title = h("h1", {}, "Overview");
  const charts = may("monitoring");
  show(main, title, tiles,
    charts && h("div", { class: "grid" },
      h("section", { class: "card" }, h("h2", {}, "Messages in queues"), depth),
      h("section", { class: "card" }, h("h2", {}, "Message rates"), flow),
      h("section", { class: "card" }, h("h2", {}, "Memory"), memory),
      h("section", { class: "card" }, h("h2", {}, "Bytes of clients"), net),
      h("section", { class: "card" }, h("h2", {}, "Connections opened and closed"), churn),
      h("section", { class: "card" }, h("h2", {}, "Node"), facts)));

  return async () => {
    const o = await get("/overview");
    const totals = o.object_totals;
    show(title, "Overview", h("small", {}, `${o.cluster_name} · ${o.node}`));
    const tile = (value, name, href, bad) => h(href ? "a" : "div", { class: bad ? "tile bad" : "tile", href }, h("b", {}, value), h("span", {}, name));
    const stats = o.message_stats;
    show(tiles,
      tile(count(o.queue_totals.messages_ready || 0), "ready"), tile(count(o.queue_totals.messages_unacknowledged || 0), "unacknowledged"),
      tile(perSecond(stats.publish_details?.rate), "in"), tile(perSecond(stats.deliver_get_details?.rate), "out"),
      tile(count(totals.queues), "queues", "#/queues"), tile(count(totals.connections), "connections", "#/connections"),
      tile(count(totals.channels), "channels", "#/channels"), tile(count(totals.consumers), "consumers"));
    if (!charts) return;
    const [c, [node]] = await Promise.all([get("/chart"), get("/nodes")]);
    const rest = c.at.slice(1);
    chart(depth, c.at, [{ name: "ready", values: c.ready }, { name: "unacknowledged", values: c.unacked }], count);
    const of = (name, key) => ({ name, values: rates(c.at, c[key]) });
    chart(flow, rest, [of("in", "publish"), of("out", "deliver"), of("acknowledged", "ack"), of("confirmed", "confirm"), of("unroutable", "return")], perSecond);
    chart(memory, c.at, [{ name: "in use", values: c.memory }], bytes, 1024);
    chart(net, rest, [of("received", "received"), of("sent", "sent")], (n) => `${bytes(n)}/s`, 1024);
    chart(churn, rest, [of("opened", "connection_created"), of("closed", "connection_closed")], perSecond);
    show(facts, plain(["", ""], [
      ["Running for", since(node.uptime)], ["Version", `Evenkeel ${o.evenkeel_version}, as ${o.product_name} ${o.rabbitmq_version}`],
      ["Memory", `${bytes(node.mem_used)} of ${bytes(node.mem_limit)}`], ["Disk free", `${bytes(node.disk_free)} (alarm below ${bytes(node.disk_free_limit)})`],
      ["Open files", `${count(node.fd_used)} of ${count(node.fd_total)}`], ["Listeners", (o.listeners || []).map((l) => h("div", {}, `${l.protocol} `, h("span", { class: "mono" }, `${l.ip_address}:${l.port}`)))],
    ]));
  };
}
