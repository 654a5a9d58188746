// Who wrote to whom, as people say it.

import { t } from "./texts.js";

/** What somebody is called: their name, else their address. */
export const called = (one) => one.name?.trim() || one.address;

/** "Anna Keller, Ben Ode and 3 more" */
export function names(people, most = 3) {
  const shown = people.slice(0, most).map(called).join(", ");
  return people.length > most ? t("conversations.andMore", { names: shown, n: people.length - most }) : shown;
}

/** "Anna Keller <anna@keller.example>" */
export const inFull = (one) => (one.name?.trim() ? `${one.name.trim()} <${one.address}>` : one.address);

/** The mailbox somebody sends from when they say nothing: their primary, else the first of their own. */
export function usualMailbox(me, boxes) {
  return boxes.find((box) => box.is_primary && box.owner_user_id === me.user_id) ?? boxes[0] ?? null;
}

/** The mailboxes somebody may write from and change mail in: their own, and shared ones that are granted to them. */
export function writable(me, boxes) {
  const granted = ({ granted_to: to }) => to === "everyone" || (to ?? []).includes(me.user_id);
  return boxes.filter((box) => box.status === "active" && (box.owner_user_id === me.user_id || (box.kind === "shared" && granted(box))));
}
