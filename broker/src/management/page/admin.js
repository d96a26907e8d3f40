// Users with their permissions, and virtual hosts.

import { h, show, row, plain, toast, confirmed, count } from "./dom.js";
import { get, put, remove, part, may } from "./api.js";
import { Table } from "./table.js";

const link = (name) => `#/user/${part(name)}`;
const list = (text) => text.split(",").map((t) => t.trim()).filter(Boolean);
const tagMarks = (tags) => tags.map((tag) => h("span", { class: tag === "administrator" ? "tag warn" : "tag" }, tag));

export async function users(main) {
  const rules = {};
  const table = new Table({
    columns: [
      { name: "Name", of: (u) => u.name, cell: (u) => h("a", { href: link(u.name) }, u.name) },
      { name: "Tags", of: (u) => u.tags.join(), cell: (u) => tagMarks(u.tags) },
      { name: "Virtual hosts", of: (u) => (rules[u.name] || []).join(", "), cell: (u) => (rules[u.name] || []).join(", ") || h("span", { class: "tag warn" }, "no access") },
      { name: "Password", of: (u) => u.hashing_algorithm, cell: (u) => (u.password_hash ? u.hashing_algorithm.replace("rabbit_password_hashing_", "imported ") : "none") },
    ],
    search: (u) => `${u.name} ${u.tags.join(" ")}`,
    open: (u) => { location.hash = link(u.name); },
  });
  const name = h("input", { required: true, placeholder: "name", "aria-label": "Name" });
  const password = h("input", { type: "password", placeholder: "password", "aria-label": "Password", autocomplete: "new-password", required: true });
  const tags = h("input", { placeholder: "tags: management, ...", "aria-label": "Tags" });
  const make = async (event) => {
    event.preventDefault();
    try { await put(`/users/${part(name.value)}`, { password: password.value, tags: list(tags.value) }); toast(`User ${name.value} is there; give it permissions next`); location.hash = link(name.value); } catch (e) { toast(e.message, true); }
  };
  show(main, h("h1", {}, "Users"), h("div", { class: "bar" }, table.filter, h("form", { class: "bar", onsubmit: make }, name, password, tags, h("button", {}, "New user"))), table.el);
  return async () => {
    const [all, permissions] = await Promise.all([get("/users"), get("/permissions")]);
    for (const key of Object.keys(rules)) delete rules[key];
    for (const p of permissions) (rules[p.user] ||= []).push(p.vhost);
    table.set(all);
  };
}

export async function user(main, { args: [name] }) {
  const path = `/users/${part(name)}`;
  const title = h("h1", {}, name);
  const [access, topics] = [h("div"), h("div")];
  const act = (run, text) => async (event) => { event?.preventDefault(); try { if (await run() === false) return; toast(text); await refresh(); } catch (e) { toast(e.message, true); } };
  const vhost = h("input", { value: "/", required: true });
  const [configure, write, read] = [".*", ".*", ".*"].map((value) => h("input", { value, class: "mono" }));
  const grant = act(() => put(`/permissions/${part(vhost.value)}/${part(name)}`, { configure: configure.value, write: write.value, read: read.value }), "Permission is set");
  const password = h("input", { type: "password", autocomplete: "new-password", placeholder: "unchanged" });
  const tags = h("input", {});
  const change = act(async () => {
    const old = await get(path);
    const body = { tags: list(tags.value) };
    if (password.value) body.password = password.value;
    else Object.assign(body, { password_hash: old.password_hash, hashing_algorithm: old.hashing_algorithm });
    await put(path, body);
    password.value = "";
  }, "Changed");
  const drop = act(async () => { if (!await confirmed(`Delete user ${name}?`)) return false; await remove(path); location.hash = "#/users"; return false; });
  let filled = false;
  show(main, h("div", { class: "bar" }, title, h("span", { class: "grow" }), h("button", { class: "danger", onclick: drop }, "Delete")),
    h("section", { class: "card" }, h("h2", {}, "Permissions"), access),
    h("section", { class: "card" }, h("h2", {}, "Topic permissions"), topics),
    h("div", { class: "grid" },
      h("section", { class: "card" }, h("h2", {}, "Give a permission"), h("form", { class: "form", onsubmit: grant }, row("Virtual host", vhost), row("Configure", configure), row("Write", write), row("Read", read), h("div", { class: "end" }, h("button", {}, "Set")))),
      h("section", { class: "card" }, h("h2", {}, "Change"), h("form", { class: "form", onsubmit: change }, row("Password", password), row("Tags", tags), h("div", { class: "end" }, h("button", {}, "Save"))))));
  async function refresh() {
    const [u, p, t] = await Promise.all([get(path), get(`${path}/permissions`), get(`${path}/topic-permissions`)]);
    show(title, u.name, h("small", {}, tagMarks(u.tags)));
    if (!filled) { tags.value = u.tags.join(", "); filled = true; }
    const mono = (text) => h("span", { class: "mono" }, text || "(none)");
    show(access, plain(["Virtual host", "Configure", "Write", "Read", ""], p.map((x) => [x.vhost, mono(x.configure), mono(x.write), mono(x.read), h("button", { class: "quiet", onclick: act(() => remove(`/permissions/${part(x.vhost)}/${part(name)}`), "Cleared") }, "Clear")]), "Without a permission this user cannot open a virtual host."));
    show(topics, plain(["Virtual host", "Exchange", "Write", "Read"], t.map((x) => [x.vhost, x.exchange, mono(x.write), mono(x.read)]), "None: topics are not restricted."));
  }
  return refresh;
}

export async function vhosts(main, { refill }) {
  const admin = may();
  const drop = (v) => async () => {
    if (!await confirmed(`Delete virtual host ${v.name} with all its queues, exchanges and messages?`)) return;
    try { await remove(`/vhosts/${part(v.name)}`); await refill(); await refresh(); } catch (e) { toast(e.message, true); }
  };
  const table = new Table({
    columns: [
      { name: "Name", of: (v) => v.name },
      { name: "Description", of: (v) => v.description },
      { name: "Tags", of: (v) => v.tags.join(), cell: (v) => tagMarks(v.tags) },
      { name: "Ready", of: (v) => v.messages_ready, cell: (v) => count(v.messages_ready), n: true },
      { name: "Unacked", of: (v) => v.messages_unacknowledged, cell: (v) => count(v.messages_unacknowledged), n: true },
      { name: "", of: () => "", cell: (v) => admin && h("button", { class: "quiet", onclick: drop(v) }, "Delete"), width: "90px" },
    ],
    search: (v) => `${v.name} ${v.description}`,
  });
  const name = h("input", { required: true, placeholder: "name", "aria-label": "Name" });
  const text = h("input", { placeholder: "description", "aria-label": "Description" });
  const make = async (event) => {
    event.preventDefault();
    try { await put(`/vhosts/${part(name.value)}`, { description: text.value }); name.value = ""; await refill(); await refresh(); } catch (e) { toast(e.message, true); }
  };
  show(main, h("h1", {}, "Virtual hosts"), h("div", { class: "bar" }, table.filter, admin && h("form", { class: "bar", onsubmit: make }, name, text, h("button", {}, "New virtual host"))), table.el);
  async function refresh() {
    table.set(await get("/vhosts"));
  }
  return refresh;
}
