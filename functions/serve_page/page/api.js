// The public API and nothing else, as the person who is signed in.

import { apiUrl, renew, token } from "./session.js";

/** Of API Gateway's own answers, which name none. */
const CODES = { 401: "unauthenticated", 429: "too_many_requests" };
/** Longer than any answer takes: a line that has gone silent is not waited for. */
const LONGEST = 45_000;

/** What the API refused: `code`, `message`, `fix`, `acts`, `requestId`, and the whole answer as `body`. */
export class Problem extends Error {
  constructor(status, body, retryAfter) {
    super(body.detail ?? "");
    this.status = status;
    this.code = body.code ?? CODES[status] ?? "internal";
    this.fix = body.fix ?? "";
    this.acts = body.acts ?? null;
    this.requestId = body.request_id ?? null;
    this.errors = body.errors ?? [];
    this.retryAfter = retryAfter;
    this.body = body;
  }
}

export const api = {
  get: (path, query) => call("GET", path + asQuery(query)),
  post: (path, body = {}, key) => call("POST", path, body, key),
  put: (path, body) => call("PUT", path, body),
  patch: (path, body) => call("PATCH", path, body),
  delete: (path) => call("DELETE", path),
  /** Every item of a list that comes in pages; at most `most` of them. */
  async all(path, query = {}, most = 1000) {
    const items = [];
    let next = null;
    do {
      const page = await api.get(path, next ? { ...query, next } : query);
      items.push(...page.items);
      next = page.next;
    } while (next && items.length < most);
    return items;
  },
};

/** Whose token that is. One that is not taken is not renewed: there is no better one. */
export const whoIs = (used) => ask("GET", "/v1/me", undefined, undefined, used);

/** Text safe in a path. */
export const quote = encodeURIComponent;

/** A key by which a request that is sent twice is done once. */
export const newKey = () => crypto.randomUUID();

/** Put a file where the API said it goes, telling `progress(share)` how far it is. */
export function upload(place, file, progress = (_share) => {}) {
  return new Promise((done, failed) => {
    const request = new XMLHttpRequest();
    let silence = 0;
    const moves = () => {
      clearTimeout(silence);
      silence = setTimeout(() => request.abort(), LONGEST);
    };
    request.open(place.method, place.url);
    for (const [name, value] of Object.entries(place.headers)) request.setRequestHeader(name, value);
    request.upload.onprogress = (event) => {
      moves();
      if (event.lengthComputable) progress(event.loaded / event.total);
    };
    request.onload = () => (request.status < 300 ? done() : failed(new Problem(request.status, {}, null)));
    request.onerror = request.onabort = () => failed(new Problem(0, { code: "offline" }, null));
    request.onloadend = () => clearTimeout(silence);
    moves();
    request.send(file);
  });
}

async function call(method, path, body, key) {
  for (let tries = 0; ; tries += 1) {
    const used = await token();
    try {
      return await ask(method, path, body, key, used);
    } catch (problem) {
      // API Gateway's own answer to a token that is not good names no code; what the person asked for is not lost with it.
      if (problem.status !== 401 || problem.body.code || tries === 2) throw problem;
    }
    await renew(used);
  }
}

async function ask(method, path, body, key, used) {
  const headers = { Authorization: `Bearer ${used}` };
  if (body !== undefined) headers["Content-Type"] = "application/json";
  if (key) headers["Idempotency-Key"] = key;
  const signal = AbortSignal.timeout(LONGEST);
  const sent = body === undefined ? undefined : JSON.stringify(body);
  // A change that is asked for as the page is left arrives all the same; for long texts browsers do not offer that.
  const keepalive = method === "PATCH";
  const response = await fetch(apiUrl + path, { method, headers, signal, keepalive, body: sent }).catch(() => null);
  if (response?.status === 204) return null;
  const content = await response?.json().catch(() => null);
  if (!response || (response.ok && !content)) throw new Problem(0, { code: "offline" }, null);
  if (response.ok) return content;
  throw new Problem(response.status, content ?? {}, Number(response.headers.get("Retry-After")) || null);
}

function asQuery(query) {
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return given.length ? `?${new URLSearchParams(given)}` : "";
}
