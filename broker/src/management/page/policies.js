// Policies: what is set, and what one would change before it is.

import { h, show, row, options, plain, toast, confirmed } from "./dom.js";
import { get, put, post, remove, part, may } from "./api.js";

export async function policies(main, { vhost }) {
  const [list, operators, effect] = [h("div"), h("div"), h("div", { "aria-live": "polite" })];
  const may_limit = may("administrator");
  const kind = h("select", { onchange: () => show(effect) }, options("policy", "operator policy"));
  const operates = () => kind.value === "operator policy";
  const path = () => operates() ? "operator-policies" : "policies";
  const name = h("input", { required: true });
  const place = h("input", { value: vhost || "/", required: true });
  const pattern = h("input", { class: "mono", placeholder: "^orders\\.", required: true });
  const apply = h("select", {}, options("queues", "exchanges", "all"));
  const priority = h("input", { type: "number", value: 0 });
  const definition = h("textarea", { spellcheck: "false", placeholder: '{"max-length": 10000, "dead-letter-exchange": "dead"}' });
  const may_change = may("policymaker");

  const body = () => ({ pattern: pattern.value, definition: JSON.parse(definition.value || "{}"), priority: Number(priority.value), "apply-to": apply.value });
  const preview = async (given) => {
    const said = await post(`/policies/preview/${part(place.value)}`, given);
    const settings = (change) => {
      const { before, after } = change.definition;
      const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
      return keys.filter((key) => JSON.stringify(before[key]) !== JSON.stringify(after[key])).map((key) => h("div", { class: "mono" }, `${key}: `, key in before && h("span", { class: "before" }, JSON.stringify(before[key])), " ", key in after && h("span", { class: "after" }, JSON.stringify(after[key]))));
    };
    show(effect, h("h2", {}, said.total === 1 ? "One object would change" : `${said.total} objects would change`),
      plain(["", "Name", "Policy", "Settings"], said.changes.slice(0, 100).map((c) => [c.kind, c.name, `${c.policy.before || "none"} → ${c.policy.after || "none"}`, settings(c)]), "Nothing that is there now would change; what comes later may."),
      said.total > 100 && h("p", { class: "soft" }, `and ${said.total - 100} more`));
  };
  const look = async () => { try { await preview({ name: name.value, operator: operates(), ...body() }); } catch (e) { show(effect, h("p", { class: "error" }, e.message)); } };
  const save = async (event) => {
    event.preventDefault();
    try { await put(`/${path()}/${part(place.value)}/${part(name.value)}`, body()); toast(`${operates() ? "Operator policy" : "Policy"} ${name.value} is set`); show(effect); await refresh(); } catch (e) { show(effect, h("p", { class: "error" }, e.message)); }
  };
  const edit = (p, of) => () => { kind.value = of; name.value = p.name; place.value = p.vhost; pattern.value = p.pattern; apply.value = p["apply-to"]; priority.value = p.priority; definition.value = JSON.stringify(p.definition, null, 1); look(); form.scrollIntoView({ block: "nearest" }); };
  const drop = (p, of) => async () => {
    kind.value = of;
    place.value = p.vhost;
    try { await preview({ name: p.name, operator: operates(), delete: true }); } catch { show(effect); }
    if (!await confirmed(`Remove ${of} ${p.name}? What would change is shown below the form.`, "Remove")) return;
    try { await remove(`/${path()}/${part(p.vhost)}/${part(p.name)}`); show(effect); await refresh(); } catch (e) { toast(e.message, true); }
  };
  const form = h("section", { class: "card" }, h("h2", {}, "New or changed policy"),
    h("form", { class: "form", onsubmit: save }, may_limit && row("Kind", kind), row("Name", name), row("Virtual host", place), row("Pattern", pattern), row("Applies to", apply), row("Priority", priority), row("Definition", definition),
      h("div", { class: "end" }, h("button", { type: "button", class: "quiet", onclick: look }, "What would this change?"), h("button", {}, "Set policy"))), effect);
  show(main, h("h1", {}, "Policies"), h("section", { class: "card" }, list), h("section", { class: "card" }, h("h2", {}, "Operator policies"), operators), may_change && form);
  const cells = (p) => [p.name, p.vhost, h("span", { class: "mono" }, p.pattern), p["apply-to"], h("span", { class: "mono" }, JSON.stringify(p.definition)), p.priority];
  async function refresh() {
    const of = (kind) => get(`/${kind}${vhost ? `/${part(vhost)}` : ""}`);
    const [all, limits] = await Promise.all([of("policies"), of("operator-policies")]);
    const heads = ["Name", "Virtual host", "Pattern", "Applies to", "Definition", "Priority"];
    const rows = (found, of, allowed) => found.map((p) => [...cells(p), allowed && [h("button", { class: "quiet", onclick: edit(p, of) }, "Edit"), " ", h("button", { class: "quiet", onclick: drop(p, of) }, "Remove")]]);
    show(list, plain([...heads, ""], rows(all, "policy", may_change), "No policy is set."));
    show(operators, plain([...heads, ""], rows(limits, "operator policy", may_limit), "None."));
  }
  return refresh;
}
