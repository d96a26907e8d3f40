// Elements out of plain calls; text is always set as text.

const SVG = "http://www.w3.org/2000/svg";

function fill(el, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === undefined || value === null || value === false) continue;
    if (key.startsWith("on")) el.addEventListener(key.slice(2), value);
    else if (key === "value" && "value" in el) el.value = value;
    else if (key === "checked") el.checked = value;
    else el.setAttribute(key, value === true ? "" : value);
  }
  add(el, children);
  return el;
}

export function add(el, children) {
  for (const child of children.flat(Infinity)) {
    if (child === undefined || child === null || child === false) continue;
    el.append(child instanceof Node ? child : String(child));
  }
}

export function h(name, attributes = {}, ...children) {
  return fill(document.createElement(name), attributes, children);
}

export function s(name, attributes = {}, ...children) {
  return fill(document.createElementNS(SVG, name), attributes, children);
}

export function show(el, ...children) {
  el.replaceChildren();
  add(el, children);
  return el;
}

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB"];

export function bytes(n) {
  let unit = 0;
  while (Math.abs(n) >= 1024 && unit < UNITS.length - 1) { n /= 1024; unit += 1; }
  return `${n >= 100 || unit === 0 ? Math.round(n) : n.toFixed(1)} ${UNITS[unit]}`;
}

export function count(n) {
  if (n === undefined || n === null) return "";
  if (Math.abs(n) >= 1e9) return `${(n / 1e9).toFixed(1)} G`;
  if (Math.abs(n) >= 1e6) return `${(n / 1e6).toFixed(1)} M`;
  return Math.round(n).toLocaleString("en");
}

export function perSecond(n) {
  if (!n) return "0/s";
  return `${n >= 10 ? count(n) : n.toFixed(1)}/s`;
}

export function since(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [[86400, "d"], [3600, "h"], [60, "min"], [1, "s"]];
  const first = parts.findIndex(([size]) => seconds >= size);
  if (first < 0) return "0 s";
  const [size, unit] = parts[first];
  const next = parts[first + 1];
  const rest = next ? Math.floor((seconds % size) / next[0]) : 0;
  return `${Math.floor(seconds / size)} ${unit}${rest ? ` ${rest} ${next[1]}` : ""}`;
}

export function toast(text, bad = false) {
  const el = h("div", { class: bad ? "toast bad" : "toast", role: bad ? "alert" : "status" }, text);
  document.getElementById("toasts").append(el);
  setTimeout(() => el.remove(), bad ? 9000 : 3500);
}

// Asks before something that cannot be undone.
export function confirmed(text, verb = "Delete") {
  return new Promise((resolve) => {
    const dialog = h("dialog", { onclose: () => { dialog.remove(); resolve(dialog.returnValue === "yes"); } },
      h("p", {}, text),
      h("form", { method: "dialog", class: "bar" },
        h("button", { class: "danger", value: "yes" }, verb),
        h("button", { class: "quiet", value: "no", autofocus: true }, "Cancel")));
    document.body.append(dialog);
    dialog.showModal();
  });
}

export function row(label, ...field) {
  const id = `f${Math.random().toString(36).slice(2)}`;
  const first = field.flat().find((el) => el instanceof HTMLElement);
  if (first && /^(INPUT|SELECT|TEXTAREA)$/.test(first.tagName)) first.id = id;
  return [h("label", { for: id }, label), h("div", {}, ...field)];
}

export function options(...values) {
  return values.map((v) => (Array.isArray(v) ? h("option", { value: v[0] }, v[1]) : h("option", { value: v }, v)));
}

export function plain(heads, rows, empty = "Nothing here.") {
  if (!rows.length) return h("p", { class: "soft" }, empty);
  return h("table", { class: "plain" },
    heads.some(Boolean) && h("thead", {}, h("tr", {}, heads.map((head) => h("th", {}, head)))),
    h("tbody", {}, rows.map((cells) => h("tr", {}, cells.map((cell) => h("td", {}, cell))))));
}
