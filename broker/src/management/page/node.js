// The node: resources with their limits, alarms, listeners, definitions.

import { h, show, bytes, count, since, plain, toast, confirmed } from "./dom.js";
import { get, post, may } from "./api.js";

function meter(used, of, bad) {
  const fill = h("i");
  fill.style.width = `${Math.min(100, (100 * used) / Math.max(1, of)).toFixed(1)}%`;
  return h("div", { class: bad ? "meter bad" : "meter", role: "meter", "aria-valuenow": used, "aria-valuemax": of }, fill);
}

export async function node(main) {
  const title = h("h1", {}, "Node");
  const [alarms, resources, facts, listeners] = Array.from({ length: 4 }, () => h("div"));
  const file = h("input", { type: "file", accept: "application/json,.json", "aria-label": "Definitions file" });
  const take = async (event) => {
    event.preventDefault();
    if (!file.files[0]) return;
    try {
      const document = JSON.parse(await file.files[0].text());
      if (!await confirmed(`Import ${file.files[0].name}? What it declares is added; what has the same name is changed.`, "Import")) return;
      await post("/definitions", document);
      toast("Definitions are imported");
    } catch (e) { toast(e.message, true); }
  };
  const give = async () => {
    try {
      const text = JSON.stringify(await get("/definitions"), null, 2);
      const link = h("a", { href: URL.createObjectURL(new Blob([text], { type: "application/json" })), download: "definitions.json" });
      link.click();
      URL.revokeObjectURL(link.href);
    } catch (e) { toast(e.message, true); }
  };
  show(main, title, alarms,
    h("div", { class: "grid" }, h("section", { class: "card" }, h("h2", {}, "Resources"), resources), h("section", { class: "card" }, h("h2", {}, "About"), facts)),
    h("section", { class: "card" }, h("h2", {}, "Listeners"), listeners),
    may() && h("section", { class: "card" }, h("h2", {}, "Definitions"), h("p", { class: "soft" }, "Virtual hosts, users, permissions, policies, queues, exchanges and bindings as one file; one of RabbitMQ is read too."), h("div", { class: "bar" }, h("button", { class: "quiet", onclick: give }, "Export"), h("form", { class: "bar", onsubmit: take }, file, h("button", { class: "quiet" }, "Import")))));
  return async () => {
    const [[n], o, set] = await Promise.all([get("/nodes"), get("/overview"), get("/alarms")]);
    show(title, n.name, h("small", {}, `cluster ${o.cluster_name}, one node`));
    show(alarms, set.alarms.map((a) => h("section", { class: "card" }, h("span", { class: "tag bad" }, "Alarm"), a.resource === "memory" ? " Memory in use is above its limit: publishers wait. " : " Free disk space is below its limit: publishers wait. ", h("span", { class: "mono" }, a.resource === "memory" ? "evenkeel ctl set_vm_memory_high_watermark 0.6" : "evenkeel ctl set_disk_free_limit 50MB"), " changes the limit.")));
    const line = (name, used, of, text, bad) => [name, [text, meter(used, of, bad)]];
    show(resources, plain(["", ""], [
      line("Memory", n.mem_used, n.mem_limit, `${bytes(n.mem_used)} of ${bytes(n.mem_limit)}`, n.mem_alarm),
      line("Disk", n.disk_free_limit, n.disk_free, `${bytes(n.disk_free)} free, alarm below ${bytes(n.disk_free_limit)}`, n.disk_free_alarm),
      line("Open files", n.fd_used, n.fd_total, `${count(n.fd_used)} of ${count(n.fd_total)}`, n.fd_used > 0.95 * n.fd_total),
    ]));
    show(facts, plain(["", ""], [["Running for", since(n.uptime)], ["Process", n.os_pid], ["Processors", n.processors], ["Version", `Evenkeel ${o.evenkeel_version}, as ${o.product_name} ${o.rabbitmq_version}`], ["Data", h("span", { class: "mono" }, n.db_dir)], ["Configuration", h("span", { class: "mono" }, n.config_files.join(", ") || "none")], ["Log", h("span", { class: "mono" }, n.log_files.join(", "))]]));
    show(listeners, plain(["Protocol", "Address", "Port"], (o.listeners || []).map((l) => [l.protocol, h("span", { class: "mono" }, l.ip_address), l.port])));
  };
}
