// What somebody is writing, kept in this tab by what they write it for: a reload or an ended sign-in loses nothing.

import { newKey } from "./api.js";
import { h } from "./dom.js";
import { link } from "./parts.js";
import { names } from "./people.js";
import { to } from "./router.js";
import { store } from "./session.js";
import { t } from "./texts.js";

const KEPT = "mailroom.draft.";

/** By what a place's draft is known: what it answers and how, or whom it is to. */
export const nameOf = ({ answers, kind, to }) => (answers ? `${kind ?? "reply"} ${answers}` : `new ${to ?? ""}`);

/** An empty draft. Its `key` is the Idempotency-Key of the mail it becomes: however often it is sent, it is one mail. */
export const begun = (query) => ({
  query, key: newKey(), isTouched: false, mailbox: query.mailbox ?? "", from: "", to: query.to ? [{ address: query.to, name: "" }] : [], cc: [], bcc: [],
  subject: "", text: "", signs: true, quotes: true, forwardsFiles: true, sendAt: "", files: [], asked: null, editedAt: 0,
});

export function kept(name) {
  return JSON.parse(sessionStorage.getItem(KEPT + name) ?? "null");
}

export function keep(draft) {
  store(KEPT + nameOf(draft.query), { ...draft, editedAt: Date.now() });
}

export function drop(draft) {
  sessionStorage.removeItem(KEPT + nameOf(draft.query));
}

/** All drafts of this tab, the latest first. */
export function all() {
  const names = Object.keys(sessionStorage).filter((name) => name.startsWith(KEPT));
  return names.map((name) => kept(name.slice(KEPT.length))).sort((one, other) => other.editedAt - one.editedAt);
}

/** The drafts of this tab that wait for somebody to go on. */
export function waitingDrafts() {
  const waiting = all();
  return waiting.length > 0 && h("section", { class: "hint-box", "aria-label": t("compose.drafts") },
    h("p", {}, t("compose.draftsWaiting", { n: waiting.length })),
    h("ul", { class: "waiting" }, waiting.map((one) => h("li", {}, link(to("compose", one.query), called(one), { drawing: "reply" })))));
}

/** What a draft is known by to who wrote it. */
function called({ subject, to: recipients, text }) {
  if (subject.trim()) return subject;
  return recipients.length ? t("conversations.toWhom", { names: names(recipients) }) : text.trim().slice(0, 60) || t("conversations.noSubject");
}
