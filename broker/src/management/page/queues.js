// All queues.

import { h, show, count, perSecond, row, options, toast } from "./dom.js";
import { get, put, part } from "./api.js";
import { Table } from "./table.js";

const COLUMNS = "columns=name,vhost,type,policy,state,durable,auto_delete,exclusive,arguments,messages_ready,messages_unacknowledged,messages,consumers,message_stats.publish_details.rate,message_stats.deliver_get_details.rate";

export function tags(q) {
  const marks = [q.durable && "durable", q.auto_delete && "auto-delete", q.exclusive && "exclusive"].filter(Boolean);
  return [marks.map((mark) => h("span", { class: "tag" }, mark)), q.state && q.state !== "running" && h("span", { class: "tag bad" }, q.state)];
}

export async function queues(main, { vhost }) {
  const link = (q) => `#/queue/${part(q.vhost)}/${part(q.name)}`;
  const rate = (key) => (q) => q.message_stats?.[key]?.rate || 0;
  const table = new Table({
    columns: [
      { name: "Name", of: (q) => q.name, cell: (q) => h("a", { href: link(q), title: q.name }, q.name), width: "30%" },
      ...(vhost ? [] : [{ name: "Virtual host", of: (q) => q.vhost }]),
      { name: "Type", of: (q) => q.type, width: "80px" },
      { name: "Features", of: (q) => `${q.durable}${q.auto_delete}`, cell: tags },
      { name: "Policy", of: (q) => q.policy || "" },
      { name: "Ready", of: (q) => q.messages_ready, cell: (q) => count(q.messages_ready), n: true },
      { name: "Unacked", of: (q) => q.messages_unacknowledged, cell: (q) => count(q.messages_unacknowledged), n: true },
      { name: "Consumers", of: (q) => q.consumers, cell: (q) => count(q.consumers), n: true },
      { name: "In", of: rate("publish_details"), cell: (q) => perSecond(rate("publish_details")(q)), n: true },
      { name: "Out", of: rate("deliver_get_details"), cell: (q) => perSecond(rate("deliver_get_details")(q)), n: true },
    ],
    search: (q) => `${q.name} ${q.vhost} ${q.policy || ""} ${q.type}`,
    open: (q) => { location.hash = link(q); },
    empty: "There are no queues yet.",
  });
  const dialog = declare(vhost, () => refresh());
  show(main, h("h1", {}, "Queues"), h("div", { class: "bar" }, table.filter, h("button", { onclick: () => dialog.showModal() }, "New queue")), table.el, dialog);
  async function refresh() {
    table.set(await get(`/queues${vhost ? `/${part(vhost)}` : ""}?${COLUMNS}`));
  }
  return refresh;
}

function declare(vhost, done) {
  const name = h("input", { required: true });
  const place = h("input", { value: vhost || "/", required: true });
  const type = h("select", {}, options("classic", "quorum"));
  const durable = h("input", { type: "checkbox", checked: true });
  const gone = h("input", { type: "checkbox" });
  const args = h("textarea", { placeholder: '{"x-max-length": 1000, "x-dead-letter-exchange": "dead"}', spellcheck: "false" });
  const error = h("p", { class: "error", role: "alert" });
  const send = async (event) => {
    event.preventDefault();
    try {
      const given = args.value.trim() ? JSON.parse(args.value) : {};
      if (type.value !== "classic") given["x-queue-type"] = type.value;
      await put(`/queues/${part(place.value)}/${part(name.value)}`, { durable: durable.checked, auto_delete: gone.checked, arguments: given });
      toast(`Queue ${name.value} is declared`);
      dialog.close();
      done();
    } catch (e) {
      show(error, e.message);
    }
  };
  const dialog = h("dialog", {}, h("h2", {}, "New queue"), h("form", { class: "form", onsubmit: send },
    row("Name", name), row("Virtual host", place), row("Type", type),
    h("span", {}), h("div", { class: "checks" }, h("label", {}, durable, "durable"), h("label", {}, gone, "auto-delete")),
    row("Arguments", args),
    h("div", { class: "end" }, h("button", {}, "Declare"), h("button", { type: "button", class: "quiet", onclick: () => dialog.close() }, "Cancel"))), error);
  return dialog;
}
