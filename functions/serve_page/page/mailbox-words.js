// A mailbox's state in words, and what the person may do with it: read in one way by the list and by the mailbox's own view.

import { h } from "./dom.js";
import { badge, icon, progress } from "./parts.js";
import { formatDuration, formatRelative, hasText, t } from "./texts.js";

const SOON = 45_000;
const MARKS = { gmail: "G", outlook: "O", imap: "@" };

/** The text of an enumeration's value; one the page does not know yet is shown as it is. */
export const named = (key, value) => (hasText(`${key}.${value}`) ? t(`${key}.${value}`) : String(value));

/** Whether they may change, reconnect or disconnect it. The API decides; this is to offer what it would do. */
export const mayChange = (me, mailbox) => me.is_admin || (mailbox.kind === "personal" && mailbox.owner_user_id === me.user_id);

/** Whether its mail is theirs to read and to send from. */
export const readsMail = (me, mailbox) =>
  mailbox.owner_user_id === me.user_id || mailbox.granted_to === "everyone" || (mailbox.granted_to ?? []).includes(me.user_id);

/** Whether people have to do something about an error, so that waiting does not mend it. */
export const needsHands = (error) => error.acts === "user" || error.acts === "tenant_admin";

/** How a mailbox is: `name` of its text, `kind` of its colour. */
export function stateOf({ status, latest_error: { inbound, outbound }, last_synced_at: last, late_since: late }) {
  if (status === "reconnect_required") return { name: status, kind: "bad" };
  if (status === "connecting") return { name: status, kind: "busy" };
  if (status !== "active") return { name: status, kind: "" };
  if (inbound) return needsHands(inbound) ? { name: "troubled", kind: "bad" } : { name: "retrying", kind: "busy" };
  if (outbound) return { name: "not_sending", kind: needsHands(outbound) ? "bad" : "busy" };
  if (!last) return { name: "first_look", kind: "busy" };
  return late ? { name: "late", kind: "busy" } : { name: "in_sync", kind: "good" };
}

export const stateBadge = (mailbox) => {
  const { name, kind } = stateOf(mailbox);
  return badge(named("mailboxes.state", name), kind);
};

export const providerMark = (provider) => h("span", { class: `mark ${provider}`, "aria-hidden": "true" }, MARKS[provider] ?? "?");

export const nameOf = (mailbox) => mailbox.display_name || mailbox.address;

/** What stands beside its name: whose it is, what for, and what is unlike others. */
export const tags = (mailbox) => [
  mailbox.is_primary && h("span", { class: "tag" }, icon("star"), t("mailboxes.primary")),
  mailbox.kind === "shared" && h("span", { class: "tag" }, t("mailboxes.shared")),
  mailbox.allow_untrusted_certificate && h("span", { class: "tag warns" }, icon("warning"), t("mailboxes.untrusted")),
];

/** "in 3 minutes"; what is due is about to happen. */
export const soon = (instant) => (Date.parse(instant) - Date.now() < SOON ? t("mailboxes.anyMoment") : formatRelative(instant));

/** "Synced 2 minutes ago, next in 3 minutes." */
export function times({ status, last_synced_at: last, next_run_at: next }) {
  if (status === "disconnected") return last ? t("mailboxes.lastEver", { last: formatRelative(last) }) : "";
  const looked = last ? t("mailboxes.looked", { last: formatRelative(last) }) : t("mailboxes.notLooked");
  return next && status === "active" ? t("mailboxes.lookedAndNext", { looked, next: soon(next) }) : t("mailboxes.lookedOnly", { looked });
}

const MOVING = new Set(["planning", "running", "waiting"]);
export const isMoving = (backfill) => MOVING.has(backfill.state);
export const isOpen = (backfill) => isMoving(backfill) || backfill.state === "paused";

/** An import under way, small, with the way to all of it. */
export function importLine(mailboxId, backfill) {
  const known = backfill.state === "planning" ? null : backfill.percent;
  const seconds = backfill.eta && backfill.state === "running" ? (Date.parse(backfill.eta) - Date.now()) / 1000 : 0;
  const kind = named("mailboxes.importing", backfill.kind === "import" ? backfill.state : "other");
  return h("div", { class: "import-line" },
    h("p", {}, h("a", { href: `#/mailboxes/${encodeURIComponent(mailboxId)}/import` }, kind), " ",
      known !== null && t("mailboxes.percent", { percent: known }), seconds > 0 && ` · ${t("mailboxes.left", { time: formatDuration(seconds) })}`),
    progress(known, kind));
}
