// What was typed and is not saved yet stays while this tab is open, whichever view is shown; it ends with the sign-in.

import { onForget } from "./session.js";

const kept = new Map();

onForget(() => kept.clear());

/** What was left under `key`, or what `made` makes for a beginning. */
export function typed(key, made) {
  if (!kept.has(key)) kept.set(key, made());
  return kept.get(key);
}

/** The fields of `form` that nobody changed since `was` become those of `now`. */
export function follow(form, was, now) {
  for (const name of Object.keys(now)) if (form[name] === was[name]) form[name] = now[name];
}
