// Login, navigation, and the clock that keeps a page fresh.

import { h, show, options, toast } from "./dom.js";
import { get, isLoggedIn, logIn, logOut, whoAmI, may, me } from "./api.js";
import { overview } from "./overview.js";
import { queues } from "./queues.js";
import { queue } from "./queue.js";
import { exchanges, exchange } from "./exchanges.js";
import { connections, connection, channels } from "./clients.js";
import { users, user, vhosts } from "./admin.js";
import { policies } from "./policies.js";
import { node } from "./node.js";

const PAGES = [
  ["", "Overview", overview, "o"],
  ["queues", "Queues", queues, "q"],
  ["exchanges", "Exchanges", exchanges, "e"],
  ["connections", "Connections", connections, "c"],
  ["channels", "Channels", channels, "h"],
  ["policies", "Policies", policies, "p"],
  ["users", "Users", users, "u", ["administrator"]],
  ["vhosts", "Virtual hosts", vhosts, "v"],
  ["node", "Node", node, "n", ["monitoring"]],
];
const DETAILS = { queue, exchange, connection, user };

const state = { refresh: null, serial: 0, vhost: sessionStorage.getItem("vhost") || "" };
const main = document.getElementById("main");
const by = (id) => document.getElementById(id);

function theme(name) {
  document.documentElement.dataset.theme = name;
  localStorage.setItem("theme", name);
}
theme(localStorage.getItem("theme") || (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light"));

function login(reason = "") {
  state.refresh = null;
  by("top").hidden = true;
  const name = h("input", { name: "user", autocomplete: "username", required: true, autofocus: true });
  const password = h("input", { name: "password", type: "password", autocomplete: "current-password" });
  const error = h("p", { class: "error", role: "alert" }, reason);
  const enter = async (event) => {
    event.preventDefault();
    show(error);
    try {
      await logIn(name.value, password.value);
      start();
    } catch (e) {
      show(error, e.message);
      password.select();
    }
  };
  show(main, h("div", { class: "card login" },
    h("h1", {}, h("img", { src: "icon.svg", width: 28, height: 28, alt: "" }), "Evenkeel broker"),
    h("form", { class: "form", onsubmit: enter },
      h("label", {}, "User", name), h("label", {}, "Password", password),
      h("div", { class: "end" }, h("button", {}, "Log in"))),
    error));
  name.focus();
}

function nav(current) {
  const shown = PAGES.filter(([, , , , tags]) => !tags || may(...tags));
  show(by("nav"), shown.map(([path, title]) => h("a", { href: `#/${path}`, "aria-current": path === current ? "page" : undefined }, title)));
}

async function start() {
  by("top").hidden = false;
  show(by("leave"), `${me.name} · log out`);
  await fillVhosts();
  route();
}

async function fillVhosts() {
  const names = (await get("/vhosts?columns=name")).map((v) => v.name);
  if (state.vhost && !names.includes(state.vhost)) state.vhost = "";
  show(by("vhost"), options(["", "All virtual hosts"], ...names.map((n) => [n, n])));
  by("vhost").value = state.vhost;
}

async function route() {
  const [word = "", ...rest] = location.hash.replace(/^#\/?/, "").split("/").map(decodeURIComponent);
  const page = PAGES.find(([path]) => path === word);
  const make = page ? page[2] : DETAILS[word];
  const home = { queue: "queues", exchange: "exchanges", connection: "connections", user: "users" };
  nav(page ? word : home[word]);
  state.serial += 1;
  const serial = state.serial;
  state.refresh = null;
  if (!make) return show(main, h("p", {}, "There is no such page."));
  show(main);
  try {
    const refresh = await make(main, { args: rest, vhost: state.vhost, refill: fillVhosts });
    if (serial === state.serial) state.refresh = refresh || null;
    main.setAttribute("aria-busy", "true");
    if (refresh) await refresh();
  } catch (error) {
    failed(error);
  } finally {
    if (serial === state.serial) main.removeAttribute("aria-busy");
  }
  main.focus({ preventScroll: true });
}

function failed(error) {
  if (error.status === 401 && !me.name) return login(error.message);
  if (error.status === 401) return toast(error.message, true);
  if (error.status === 404) return show(main, h("h1", {}, "It is not there"), h("p", {}, "It was deleted, or never was. ", h("a", { href: "#/" }, "Back to the overview")));
  toast(error.message, true);
}

async function tick() {
  if (isLoggedIn() && me.name && !document.hidden) {
    const { serial, refresh } = state;
    try {
      if (refresh) await refresh();
      const { alarms } = await get("/alarms");
      const chip = by("alarm");
      chip.className = alarms.length ? "chip bad" : "chip";
      show(chip, alarms.length ? `Alarm: ${alarms.map((a) => a.resource).join(", ")}` : "");
    } catch (error) {
      if (serial === state.serial && error.status !== 404) toast(error.message, true);
    }
  }
  setTimeout(tick, 5000);
}

function help() {
  const keys = [...PAGES.map(([, title, , key]) => [`g ${key}`, title]), ["/", "Filter"], ["j k ↑ ↓", "Move in a list"], ["Enter", "Open"], ["r", "Refresh"], ["t", "Light or dark"], ["?", "This help"]];
  const dialog = h("dialog", { onclose: () => dialog.remove() },
    h("h2", {}, "Keyboard"),
    h("table", { class: "plain" }, keys.map(([key, what]) => h("tr", {}, h("td", {}, key.split(" ").map((k) => [h("kbd", {}, k), " "])), h("td", {}, what)))),
    h("form", { method: "dialog" }, h("button", { class: "quiet", autofocus: true }, "Close")));
  document.body.append(dialog);
  dialog.showModal();
}

let going = false;
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA|SELECT)$/.test(event.target.tagName) || document.querySelector("dialog[open]")) {
    if (event.key === "Escape" && event.target.blur) event.target.blur();
    return;
  }
  const page = going && PAGES.find(([, , , key]) => key === event.key);
  going = event.key === "g";
  if (page) location.hash = `#/${page[0]}`;
  else if (event.key === "/") { const filter = main.querySelector("input[type=search]"); if (filter) { event.preventDefault(); filter.focus(); } }
  else if (event.key === "?") help();
  else if (event.key === "t") by("theme").click();
  else if (event.key === "r" && state.refresh) Promise.resolve(state.refresh()).catch(failed);
  else if ("jk".includes(event.key) || event.key.startsWith("Arrow")) { const list = main.querySelector(".scroll"); if (list && document.activeElement !== list) { list.focus(); } }
});
by("theme").addEventListener("click", () => theme(document.documentElement.dataset.theme === "dark" ? "light" : "dark"));
by("help").addEventListener("click", help);
by("leave").addEventListener("click", () => { logOut(); me.name = ""; login(); });
by("vhost").addEventListener("change", () => { state.vhost = by("vhost").value; sessionStorage.setItem("vhost", state.vhost); route(); });
addEventListener("hashchange", () => { if (me.name) route(); });

if (isLoggedIn()) whoAmI().then(start, () => { logOut(); login(); });
else login();
tick();
