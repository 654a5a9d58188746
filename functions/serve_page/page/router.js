// Places in the page, by the fragment of its address: #/mailboxes/{id}/runs?since=…

/** Where the address says we are: `{path: [...], query}`. */
export function here() {
  const [, path, query] = location.hash.match(/^#?\/?([^?]*)\??(.*)$/s);
  return { path: path.split("/").filter(Boolean).map(decoded), query: Object.fromEntries(new URLSearchParams(query)) };
}

/** Addresses come from anywhere; what is no encoding stands for itself. */
function decoded(part) {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The address of a place. */
export function to(...path) {
  const query = typeof path.at(-1) === "object" ? path.pop() : null;
  const given = Object.entries(query ?? {}).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return `#/${path.map(encodeURIComponent).join("/")}${given.length ? `?${new URLSearchParams(given)}` : ""}`;
}

export const go = (...path) => (location.hash = to(...path));

/** Go there without a step in the history. */
export function replace(...path) {
  history.replaceState(null, "", to(...path));
  window.dispatchEvent(new HashChangeEvent("hashchange"));
}
