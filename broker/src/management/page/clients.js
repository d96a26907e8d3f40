// Connections and channels.

import { h, show, count, bytes, perSecond, plain, toast, confirmed } from "./dom.js";
import { get, remove, part } from "./api.js";
import { Table } from "./table.js";

const link = (name) => `#/connection/${part(name)}`;
const state = (word) => h("span", { class: word === "running" ? "tag good" : word === "blocked" ? "tag bad" : "tag warn" }, word);

// Asks, then closes a connection; whether it was closed.
async function close(name) {
  if (!await confirmed(`Close the connection ${name}? Its client is told 320 and may come back.`, "Close it")) return false;
  try { await remove(`/connections/${part(name)}`); toast("Closed"); return true; } catch (e) { toast(e.message, true); return false; }
}

export async function connections(main, { vhost }) {
  const table = new Table({
    columns: [
      { name: "Client", of: (c) => c.name, cell: (c) => h("a", { href: link(c.name), title: c.name }, c.user_provided_name || c.name), width: "32%" },
      { name: "User", of: (c) => c.user },
      ...(vhost ? [] : [{ name: "Virtual host", of: (c) => c.vhost }]),
      { name: "State", of: (c) => c.state, cell: (c) => state(c.state), width: "92px" },
      { name: "TLS", of: (c) => (c.ssl ? 1 : 0), cell: (c) => (c.ssl ? c.ssl_protocol : ""), width: "80px" },
      { name: "Channels", of: (c) => c.channels, n: true },
      { name: "From client", of: (c) => c.recv_oct_details.rate, cell: (c) => `${bytes(c.recv_oct_details.rate)}/s`, n: true },
      { name: "To client", of: (c) => c.send_oct_details.rate, cell: (c) => `${bytes(c.send_oct_details.rate)}/s`, n: true },
      { name: "", of: () => "", cell: (c) => h("button", { class: "quiet", "aria-label": `Close ${c.name}`, onclick: async () => { if (await close(c.name)) await refresh(); } }, "Close"), width: "84px" },
    ],
    search: (c) => `${c.name} ${c.user_provided_name || ""} ${c.user} ${c.vhost} ${c.state}`,
    open: (c) => { location.hash = link(c.name); },
    empty: "Nobody is connected.",
  });
  show(main, h("h1", {}, "Connections"), h("div", { class: "bar" }, table.filter), table.el);
  async function refresh() {
    table.set(await get(vhost ? `/vhosts/${part(vhost)}/connections` : "/connections"));
  }
  return refresh;
}

const channelColumns = [
  { name: "Channel", of: (c) => c.name, cell: (c) => h("a", { href: link(c.connection_details.name) }, c.name), width: "32%" },
  { name: "User", of: (c) => c.user },
  { name: "Mode", of: (c) => `${c.confirm}${c.transactional}`, cell: (c) => [c.confirm && h("span", { class: "tag" }, "confirms"), c.transactional && h("span", { class: "tag" }, "transactions")] },
  { name: "Prefetch", of: (c) => c.prefetch_count, cell: (c) => c.prefetch_count || "∞", n: true },
  { name: "Consumers", of: (c) => c.consumer_count, n: true },
  { name: "Unacked", of: (c) => c.messages_unacknowledged, cell: (c) => count(c.messages_unacknowledged), n: true },
  { name: "Unconfirmed", of: (c) => c.messages_unconfirmed, cell: (c) => count(c.messages_unconfirmed), n: true },
  { name: "In", of: (c) => c.message_stats?.publish_details?.rate || 0, cell: (c) => perSecond(c.message_stats?.publish_details?.rate), n: true },
  { name: "Out", of: (c) => c.message_stats?.deliver_get_details?.rate || 0, cell: (c) => perSecond(c.message_stats?.deliver_get_details?.rate), n: true },
];

export async function channels(main, { vhost }) {
  const table = new Table({ columns: channelColumns, search: (c) => `${c.name} ${c.user} ${c.vhost}`, open: (c) => { location.hash = link(c.connection_details.name); }, empty: "There are no channels." });
  show(main, h("h1", {}, "Channels"), h("div", { class: "bar" }, table.filter), table.el);
  return async () => table.set(await get(vhost ? `/vhosts/${part(vhost)}/channels` : "/channels"));
}

export async function connection(main, { args: [name] }) {
  const path = `/connections/${part(name)}`;
  const title = h("h1", {}, name);
  const facts = h("div");
  const table = new Table({ columns: channelColumns, search: (c) => c.name, empty: "It has no channel." });
  const leave = async () => { if (await close(name)) location.hash = "#/connections"; };
  show(main, h("div", { class: "bar" }, title, h("span", { class: "grow" }), h("button", { class: "danger", onclick: leave }, "Close")), h("section", { class: "card" }, facts), h("h2", {}, "Channels"), table.el);
  return async () => {
    const [c, list] = await Promise.all([get(path), get(`${path}/channels`)]);
    show(title, c.user_provided_name || c.name, h("small", {}, c.user_provided_name ? c.name : ""));
    show(facts, plain(["", ""], [["State", state(c.state)], ["User", `${c.user} by ${c.auth_mechanism}`], ["Virtual host", c.vhost], ["Since", new Date(c.connected_at).toLocaleString()], ["Encryption", c.ssl ? `${c.ssl_protocol} ${c.ssl_cipher}${c.peer_cert_subject ? `, certificate of ${c.peer_cert_subject}` : ""}` : "none"], ["Agreed", `heartbeat ${c.timeout} s, frames up to ${bytes(c.frame_max)}, ${c.channel_max} channels`], ["From client", `${bytes(c.recv_oct)} (${bytes(c.recv_oct_details.rate)}/s)`], ["To client", `${bytes(c.send_oct)} (${bytes(c.send_oct_details.rate)}/s)`], ["Client", h("span", { class: "mono" }, JSON.stringify(c.client_properties))]]));
    table.set(list);
  };
}
