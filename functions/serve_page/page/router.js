// Places in the page, by the fragment of its address: #/mailboxes/{id}/runs?since=…

/** Where the address says we are: `{path: [...], query}`. */
export function here() {
  const [path, query] = location.hash.replace(/^#\/?/, "").split("?");
  return { path: path.split("/").filter(Boolean).map(decodeURIComponent), query: Object.fromEntries(new URLSearchParams(query)) };
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
