// One queue: its charts, consumers, bindings; publish, get, move, purge, delete.

import { h, show, count, perSecond, bytes, row, options, plain, toast, confirmed } from "./dom.js";
import { get, post, remove, part } from "./api.js";
import { chart } from "./chart.js";
import { tags } from "./queues.js";
import { traffic } from "./exchanges.js";

export async function queue(main, { args: [vhost, name] }) {
  const path = `/queues/${part(vhost)}/${part(name)}`;
  const title = h("h1", {}, name);
  const tiles = h("div", { class: "tiles" });
  const [depth, flow, facts, consumers, bindings, incoming, deliveries] = Array.from({ length: 7 }, () => h("div"));
  const samples = { at: [], ready: [], unacked: [], in: [], out: [], ack: [] };
  const act = (run, text) => async (event) => {
    event?.preventDefault();
    try { const said = await run(); if (said !== false) { toast(typeof said === "string" ? said : text); await refresh(); } } catch (e) { toast(e.message, true); }
  };
  const purge = act(async () => { if (!await confirmed(`Remove all ready messages of ${name}?`, "Purge")) return false; await remove(`${path}/contents`); }, "Purged");
  const drop = act(async () => { if (!await confirmed(`Delete queue ${name} with all its messages?`)) return false; await remove(path); location.hash = "#/queues"; });
  show(main,
    h("div", { class: "bar" }, title, h("span", { class: "grow" }), h("button", { class: "quiet", onclick: purge }, "Purge"), h("button", { class: "danger", onclick: drop }, "Delete")),
    tiles,
    h("div", { class: "grid" },
      h("section", { class: "card" }, h("h2", {}, "Messages"), depth),
      h("section", { class: "card" }, h("h2", {}, "Rates"), flow)),
    h("div", { class: "grid" },
      h("section", { class: "card" }, h("h2", {}, "About"), facts),
      h("section", { class: "card" }, h("h2", {}, "Bindings"), bindings, bind(vhost, name, () => refresh()))),
    h("section", { class: "card" }, h("h2", {}, "Consumers"), consumers),
    h("div", { class: "grid" }, h("section", { class: "card" }, h("h2", {}, "Where messages come from"), incoming), h("section", { class: "card" }, h("h2", {}, "Who takes them"), deliveries)),
    h("div", { class: "grid" }, h("section", { class: "card" }, h("h2", {}, "Publish a message"), publish(vhost, name, act)),
      h("section", { class: "card" }, h("h2", {}, "Get messages"), fetchForm(path, () => refresh()), h("h2", {}, "Move messages"), move(path, act))));

  async function refresh() {
    const [q, bound] = await Promise.all([get(`${path}?msg_rates_age=600&msg_rates_incr=5`), get(`${path}/bindings`)]);
    const rate = (key) => q.message_stats?.[`${key}_details`]?.rate || 0;
    show(title, q.name, h("small", {}, `in ${q.vhost} · ${q.type}`));
    const tile = (value, text) => h("div", { class: "tile" }, h("b", {}, value), h("span", {}, text));
    show(tiles, tile(count(q.messages_ready), "ready"), tile(count(q.messages_unacknowledged), "unacknowledged"), tile(bytes(q.message_bytes), "bytes of bodies"), tile(count(q.consumers), "consumers"), tile(perSecond(rate("publish")), "in"), tile(perSecond(rate("deliver_get")), "out"));
    const push = (list, value) => { list.push(value); if (list.length > 120) list.shift(); };
    push(samples.at, Date.now()); push(samples.ready, q.messages_ready); push(samples.unacked, q.messages_unacknowledged);
    push(samples.in, rate("publish")); push(samples.out, rate("deliver_get")); push(samples.ack, rate("ack"));
    chart(depth, samples.at, [{ name: "ready", values: samples.ready }, { name: "unacknowledged", values: samples.unacked }], count);
    chart(flow, samples.at, [{ name: "in", values: samples.in }, { name: "out", values: samples.out }, { name: "acknowledged", values: samples.ack }], perSecond);
    show(incoming, traffic(q.incoming, "Exchange"));
    show(deliveries, traffic(q.deliveries, "Channel"));
    const json = (value) => h("span", { class: "mono" }, JSON.stringify(value));
    show(facts, plain(["", ""], [["Features", tags(q)], ["Arguments", json(q.arguments)], ["Policy", q.policy || "none"], ["Operator policy", q.operator_policy || "none"], ["In effect", json(q.effective_policy_definition)], ["On disk", `${count(q.messages_persistent)} messages`], ["Idle since", q.idle_since || "in use"], ...(q.exclusive ? [["Belongs to", q.owner_pid_details?.name || ""]] : [])]));
    show(consumers, plain(["Channel", "Tag", "Acknowledges", "Prefetch", "State"], q.consumer_details.map((c) => [h("a", { href: `#/connection/${part(c.channel_details.connection_name)}` }, c.channel_details.name), h("span", { class: "mono" }, c.consumer_tag), c.ack_required ? "yes" : "no", c.prefetch_count || "unlimited", c.active ? "active" : "waits"]), "Nobody consumes from this queue."));
    show(bindings, plain(["From", "Key", "Arguments", ""], bound.map((b) => [b.source ? h("a", { href: `#/exchange/${part(b.vhost)}/${part(b.source)}` }, b.source) : h("span", { class: "soft" }, "default exchange"), h("span", { class: "mono" }, b.routing_key), Object.keys(b.arguments).length ? json(b.arguments) : "", b.source && h("button", { class: "quiet", onclick: act(() => remove(`/bindings/${part(b.vhost)}/e/${part(b.source)}/q/${part(b.destination)}/${part(b.properties_key)}`), "Unbound") }, "Unbind")])));
  }
  return refresh;
}

function bind(vhost, name, done) {
  const source = h("input", { placeholder: "exchange", required: true, "aria-label": "Exchange" });
  const key = h("input", { placeholder: "routing key", "aria-label": "Routing key" });
  const send = async (event) => {
    event.preventDefault();
    try { await post(`/bindings/${part(vhost)}/e/${part(source.value)}/q/${part(name)}`, { routing_key: key.value, arguments: {} }); toast("Bound"); key.value = ""; done(); } catch (e) { toast(e.message, true); }
  };
  return h("form", { class: "bar", onsubmit: send }, source, key, h("button", { class: "quiet" }, "Bind"));
}

function publish(vhost, name, act) {
  const payload = h("textarea", {});
  const headers = h("textarea", { placeholder: '{"kind": "test"}', spellcheck: "false" });
  const persistent = h("input", { type: "checkbox", checked: true });
  const type = h("input", { placeholder: "application/json" });
  const run = async () => {
    const properties = { delivery_mode: persistent.checked ? 2 : 1 };
    if (headers.value.trim()) properties.headers = JSON.parse(headers.value);
    if (type.value) properties.content_type = type.value;
    const said = await post(`/exchanges/${part(vhost)}/amq.default/publish`, { properties, routing_key: name, payload: payload.value, payload_encoding: "string" });
    return said.routed ? "Published" : "Not routed";
  };
  return h("form", { class: "form", onsubmit: act(run) }, row("Body", payload), row("Headers", headers), row("Content type", type), h("span", {}), h("div", { class: "checks" }, h("label", {}, persistent, "persistent")), h("div", { class: "end" }, h("button", {}, "Publish")));
}

function fetchForm(path, done) {
  const how = h("select", {}, options(["ack_requeue_true", "look, and leave them"], ["ack_requeue_false", "take them out"], ["reject_requeue_false", "reject them (dead-letter)"]));
  const number = h("input", { type: "number", min: 1, max: 100, value: 5 });
  const out = h("div");
  const send = async (event) => {
    event.preventDefault();
    try {
      const got = await post(`${path}/get`, { count: number.value, ackmode: how.value, encoding: "auto", truncate: 50000 });
      show(out, got.length ? got.map((m, i) => h("div", {}, h("div", { class: "soft" }, `${i + 1}. from `, m.exchange || "the default exchange", ` with key ${m.routing_key}, ${m.payload_bytes} bytes`, m.redelivered ? ", was out before" : ""), h("pre", {}, pretty(m)), h("pre", { class: "soft" }, JSON.stringify(m.properties, null, 1)))) : h("p", { class: "soft" }, "The queue is empty."));
      done();
    } catch (e) { toast(e.message, true); }
  };
  return h("div", {}, h("form", { class: "bar", onsubmit: send }, number, how, h("button", {}, "Get")), out);
}

function pretty(m) {
  if (m.payload_encoding !== "string") return `${m.payload}  (Base64)`;
  try { return JSON.stringify(JSON.parse(m.payload), null, 2); } catch { return m.payload; }
}

function move(path, act) {
  const to = h("input", { placeholder: "name of the other queue", required: true, "aria-label": "Destination", class: "grow" });
  const number = h("input", { type: "number", min: 1, placeholder: "all", "aria-label": "How many" });
  const run = async () => {
    const body = { destination: to.value };
    if (number.value) body.count = Number(number.value);
    const said = await post(`${path}/move`, body);
    return `${count(said.moved)} moved`;
  };
  return h("form", { class: "bar", onsubmit: act(run) }, number, to, h("button", { class: "quiet" }, "Move"));
}
