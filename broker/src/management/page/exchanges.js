// Exchanges, and one exchange with its bindings as a picture.

import { h, s, show, count, perSecond, row, options, plain, toast, confirmed } from "./dom.js";
import { get, put, post, remove, part } from "./api.js";
import { Table } from "./table.js";

const label = (name) => name || "(default exchange)";
const rate = (key) => (x) => x.message_stats?.[`${key}_details`]?.rate || 0;

// Who publishes here and where that goes, or for a queue: from which exchanges, and who takes it.
export function traffic(flows, kind) {
  const of = (f) => f.stats.publish ?? f.stats.deliver_get ?? 0;
  const details = (f) => f.stats.publish_details || f.stats.deliver_get_details;
  const name = (f) => {
    const channel = f.channel_details;
    if (channel) return h("a", { href: `#/connection/${part(channel.connection_name)}` }, channel.name);
    const thing = f.exchange || f.queue;
    return h("a", { href: `#/${f.exchange ? "exchange" : "queue"}/${part(thing.vhost)}/${part(thing.name || "amq.default")}` }, label(thing.name));
  };
  const sorted = flows.slice().sort((a, b) => of(b) - of(a)).slice(0, 50);
  return plain([kind, "Messages", "Rate"], sorted.map((f) => [name(f), count(of(f)), perSecond(details(f)?.rate)]), "No messages yet.");
}

export async function exchanges(main, { vhost }) {
  const link = (x) => `#/exchange/${part(x.vhost)}/${part(x.name || "amq.default")}`;
  const table = new Table({
    columns: [
      { name: "Name", of: (x) => x.name, cell: (x) => h("a", { href: link(x) }, label(x.name)), width: "36%" },
      ...(vhost ? [] : [{ name: "Virtual host", of: (x) => x.vhost }]),
      { name: "Type", of: (x) => x.type },
      { name: "Features", of: (x) => `${x.durable}`, cell: (x) => [x.durable && "durable", x.auto_delete && "auto-delete", x.internal && "internal"].filter(Boolean).map((t) => h("span", { class: "tag" }, t)) },
      { name: "Policy", of: (x) => x.policy || "" },
      { name: "In", of: rate("publish_in"), cell: (x) => perSecond(rate("publish_in")(x)), n: true },
      { name: "Out", of: rate("publish_out"), cell: (x) => perSecond(rate("publish_out")(x)), n: true },
    ],
    search: (x) => `${label(x.name)} ${x.vhost} ${x.type}`,
    open: (x) => { location.hash = link(x); },
  });
  const name = h("input", { required: true, placeholder: "name", "aria-label": "Name" });
  const place = h("input", { value: vhost || "/", required: true, "aria-label": "Virtual host" });
  const type = h("select", { "aria-label": "Type" }, options("direct", "fanout", "topic", "headers"));
  const make = async (event) => {
    event.preventDefault();
    try { await put(`/exchanges/${part(place.value)}/${part(name.value)}`, { type: type.value, durable: true, arguments: {} }); toast(`Exchange ${name.value} is declared`); name.value = ""; await refresh(); } catch (e) { toast(e.message, true); }
  };
  show(main, h("h1", {}, "Exchanges"), h("div", { class: "bar" }, table.filter, h("form", { class: "bar", onsubmit: make }, name, place, type, h("button", {}, "New exchange"))), table.el);
  async function refresh() {
    table.set(await get(`/exchanges${vhost ? `/${part(vhost)}` : ""}`));
  }
  return refresh;
}

export async function exchange(main, { args: [vhost, name] }) {
  const path = `/exchanges/${part(vhost)}/${part(name)}`;
  const own = name === "amq.default" || name.startsWith("amq.");
  const title = h("h1", {}, label(name));
  const [picture, table, incoming, outgoing] = Array.from({ length: 4 }, () => h("div"));
  const drop = async () => {
    if (!await confirmed(`Delete exchange ${name}?`)) return;
    try { await remove(path); location.hash = "#/exchanges"; } catch (e) { toast(e.message, true); }
  };
  const to = h("input", { required: true });
  const kind = h("select", {}, options(["q", "queue"], ["e", "exchange"]));
  const key = h("input", {});
  const args = h("input", { placeholder: "{}", spellcheck: "false" });
  const bind = async (event) => {
    event.preventDefault();
    try { await post(`/bindings/${part(vhost)}/e/${part(name)}/${kind.value}/${part(to.value)}`, { routing_key: key.value, arguments: args.value.trim() ? JSON.parse(args.value) : {} }); toast("Bound"); await refresh(); } catch (e) { toast(e.message, true); }
  };
  const routing = h("input", {});
  const payload = h("textarea", {});
  const send = async (event) => {
    event.preventDefault();
    try { const said = await post(`${path}/publish`, { properties: { delivery_mode: 2 }, routing_key: routing.value, payload: payload.value, payload_encoding: "string" }); toast(said.routed ? "Published" : "No queue takes this key", !said.routed); } catch (e) { toast(e.message, true); }
  };
  show(main, h("div", { class: "bar" }, title, h("span", { class: "grow" }), !own && h("button", { class: "danger", onclick: drop }, "Delete")),
    h("section", { class: "card" }, h("h2", {}, "Bindings"), picture, table),
    h("div", { class: "grid" }, h("section", { class: "card" }, h("h2", {}, "Who publishes here"), incoming), h("section", { class: "card" }, h("h2", {}, "Where messages go"), outgoing)),
    h("div", { class: "grid" },
      name !== "amq.default" && h("section", { class: "card" }, h("h2", {}, "Bind"), h("form", { class: "form", onsubmit: bind }, row("To", to), row("Which is a", kind), row("Routing key", key), row("Arguments", args), h("div", { class: "end" }, h("button", {}, "Bind")))),
      h("section", { class: "card" }, h("h2", {}, "Publish a message"), h("form", { class: "form", onsubmit: send }, row("Routing key", routing), row("Body", payload), h("div", { class: "end" }, h("button", {}, "Publish"))))));
  async function refresh() {
    const [x, from, into] = await Promise.all([get(path), get(`${path}/bindings/source`), get(`${path}/bindings/destination`)]);
    show(title, label(x.name), h("small", {}, `${x.type} in ${x.vhost}`));
    show(incoming, traffic(x.incoming, "Channel"));
    show(outgoing, traffic(x.outgoing, "Queue"));
    draw(picture, label(x.name), into, from);
    show(table, plain(["To", "Key", "Arguments", ""], from.map((b) => [h("a", { href: `#/${b.destination_type}/${part(b.vhost)}/${part(b.destination)}` }, b.destination), h("span", { class: "mono" }, b.routing_key), Object.keys(b.arguments).length ? h("span", { class: "mono" }, JSON.stringify(b.arguments)) : "", b.source && h("button", { class: "quiet", onclick: async () => { try { await remove(`/bindings/${part(b.vhost)}/e/${part(b.source)}/${b.destination_type[0]}/${part(b.destination)}/${part(b.properties_key)}`); await refresh(); } catch (e) { toast(e.message, true); } } }, "Unbind")]), "Nothing is bound to it."));
  }
  return refresh;
}

const BOX = { w: 210, h: 30, gap: 12 };
const MOST = 12;

// Sources on the left, this exchange in the middle, destinations on the right.
function draw(el, name, into, from) {
  const left = into.slice(0, MOST);
  const right = from.slice(0, MOST);
  const rows = Math.max(left.length, right.length, 1);
  const height = rows * (BOX.h + BOX.gap) + BOX.gap;
  const y = (i, n) => height / 2 + (i - (n - 1) / 2) * (BOX.h + BOX.gap);
  const cut = (text, n = 27) => (text.length > n ? `${text.slice(0, n - 1)}…` : text);
  const box = (x, cy, text, on) => [s("rect", { class: on ? "box on" : "box", x, y: cy - BOX.h / 2, width: BOX.w, height: BOX.h, rx: 7 }), s("text", { class: "name", x: x + BOX.w / 2, y: cy + 4, "text-anchor": "middle" }, cut(text), s("title", {}, text))];
  const wire = (x1, y1, x2, y2, text, end) => [s("path", { class: "wire", d: `M${x1},${y1} C${(x1 + x2) / 2},${y1} ${(x1 + x2) / 2},${y2} ${x2},${y2}` }), s("text", { x: end, y: (end > 500 ? y2 : y1) - 5, "text-anchor": "middle" }, cut(text, 17))];
  const parts = [];
  left.forEach((b, i) => parts.push(wire(10 + BOX.w, y(i, left.length), 395, height / 2, b.routing_key, 275), box(10, y(i, left.length), label(b.source))));
  right.forEach((b, i) => parts.push(wire(605, height / 2, 780, y(i, right.length), b.routing_key, 722), box(780, y(i, right.length), b.destination)));
  parts.push(box(395, height / 2, name, true));
  const more = into.length + from.length - left.length - right.length;
  show(el, s("svg", { viewBox: `0 0 1000 ${height}`, role: "img", "aria-label": `${into.length} bindings in, ${from.length} out` }, parts), more > 0 && h("p", { class: "soft" }, `and ${more} more in the list`));
}
