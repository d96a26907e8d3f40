// The HTTP API with the login of this tab.

let authorization = sessionStorage.getItem("authorization");

export const me = { name: "", tags: [] };

export class Refused extends Error {
  constructor(status, text) {
    super(text);
    this.status = status;
  }
}

export function isLoggedIn() {
  return Boolean(authorization);
}

export function logOut() {
  authorization = null;
  sessionStorage.removeItem("authorization");
}

export async function logIn(name, password) {
  const text = new TextEncoder().encode(`${name}:${password}`);
  authorization = `Basic ${btoa(String.fromCharCode(...text))}`;
  try {
    await whoAmI();
  } catch (error) {
    logOut();
    throw error;
  }
  sessionStorage.setItem("authorization", authorization);
}

export async function whoAmI() {
  Object.assign(me, await get("/whoami"));
}

export function may(...tags) {
  return me.tags.some((tag) => tag === "administrator" || tags.includes(tag));
}

export function part(text) {
  return encodeURIComponent(text);
}

async function ask(method, path, body) {
  const headers = { authorization, "x-requested-with": "page" };
  if (body !== undefined) headers["content-type"] = "application/json";
  let response;
  try {
    response = await fetch(`api${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), credentials: "omit" });
  } catch {
    throw new Refused(0, "the node does not answer");
  }
  const text = await response.text();
  let value;
  try { value = text ? JSON.parse(text) : undefined; } catch { value = undefined; }
  if (response.ok) return value;
  const reason = value && (typeof value.reason === "string" ? value.reason : JSON.stringify(value.reason));
  throw new Refused(response.status, (reason || response.statusText).replace(/&lt;/g, "<").replace(/&gt;/g, ">").replace(/&amp;/g, "&").trim());
}

export const get = (path) => ask("GET", path);
export const put = (path, body = {}) => ask("PUT", path, body);
export const post = (path, body = {}) => ask("POST", path, body);
export const remove = (path) => ask("DELETE", path);
