// Mails on their way: followed until they are sent or not, whatever view is open, and taken back while that is possible.
//
// Each is kept in this tab with the draft it was made of, so that a reload in between loses neither.

import { api, newKey, quote } from "./api.js";
import { h } from "./dom.js";
import * as drafts from "./drafts.js";
import { watch } from "./live.js";
import { act, trouble } from "./parts.js";
import { names } from "./people.js";
import { to } from "./router.js";
import { store } from "./session.js";
import { formatInstant, t } from "./texts.js";

const STORED = "mailroom.outbox";
const ENDED = new Set(["sent", "failed", "cancelled"]);
const SOON = 5 * 60_000;
const COUNTED = 60_000;
const SHOWN_AFTER = 12_000;
const LONGEST_UNKNOWN = 3_600_000;
const following = new Map();
const listeners = new Set();
let ticking = 0;

/** Call `listener(entry)` when one comes further; answers with what ends that. */
export function onMoved(listener) {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

/** Follow those that were on their way before the page was loaded again. */
export function resume(page) {
  for (const { send, draft } of stored()) if (!following.has(send.id)) follow(page, send, draft);
}

/** Follow a mail the API has taken, which was made of `draft`. */
export function taken(page, send, draft) {
  drafts.drop(draft);
  follow(page, send, draft);
  save();
}

/** The mails on their way in a thread. */
export const inThread = (id) => [...following.values()].filter(({ draft }) => draft.query.thread === id);

function follow(page, send, draft) {
  const entry = { send, draft, watched: null, toast: null };
  following.set(send.id, entry);
  say(page, entry);
  // What leaves at a chosen time is listed until then; this passes.
  if (!isSoon(send)) setTimeout(entry.toast.close, SHOWN_AFTER);
  const path = `/v1/mailboxes/${quote(send.mailbox_id)}/sends/${quote(send.id)}`;
  entry.watched = watch(() => api.get(path), {
    show(answer) {
      const before = entry.send;
      entry.send = answer;
      const hasMoved = before.status !== answer.status;
      if (hasMoved && ENDED.has(answer.status)) end(page, entry);
      if (hasMoved || before.message_id !== answer.message_id) tell(entry);
      save();
      tick(page);
      page.changed();
    },
    failed(problem) {
      if (problem.status !== 404) return;
      entry.toast.close();
      entry.watched.stop();
      following.delete(send.id);
      save();
    },
    pause: ({ status, due_at: due, sent_at: sent, message_id: message, cause }) => {
      // A moment after it has left it is a message of its thread.
      if (status === "sent" && !message && Date.now() - new Date(sent).getTime() < 60_000) return 1500;
      if (ENDED.has(status)) return null;
      const wait = new Date(due).getTime() - Date.now();
      // Looked at again a minute before, when it begins to be counted.
      if (status === "queued" && wait > 0) return Math.min(wait > COUNTED ? wait - COUNTED + 500 : wait + 500, SOON);
      if (status === "unknown" && wait < -LONGEST_UNKNOWN) return null;
      return cause || status === "unknown" ? 15_000 : 1500;
    },
  });
  tick(page);
}

const isSoon = (send) => new Date(send.due_at).getTime() - Date.now() < COUNTED;

function say(page, entry) {
  entry.toast?.close();
  entry.toast = page.say("", { body: (close) => toastOf(page, entry, close) });
}

function tell(entry) {
  for (const listener of listeners) listener(entry);
}

/** Say how it ended, also to somebody who closed what was said before. What has to be done about it stays. */
function end(page, entry) {
  const { send } = entry;
  say(page, entry);
  if (send.status === "sent" ? !refusedOf(send).length : send.status === "cancelled") setTimeout(entry.toast.close, SHOWN_AFTER);
  if (send.status !== "sent") following.delete(send.id);
}

const refusedOf = (send) => send.recipients.filter((one) => one.status === "refused");

/** Whether what was written is still here, to be gone on with. */
export const isOfThisTab = (id) => following.has(id);

/** Call a mail off and go back to the draft, with all that was in it. */
export async function undo(id) {
  const entry = following.get(id);
  entry.send = await api.post(`/v1/mailboxes/${quote(entry.send.mailbox_id)}/sends/${quote(id)}/cancel`);
  entry.watched.stop();
  following.delete(id);
  save();
  reopen(entry);
  tell(entry);
}

/** What is sent now is another mail, with a key of its own. */
function reopen({ draft, toast }) {
  toast.close();
  drafts.keep({ ...draft, key: newKey(), asked: null });
  location.hash = to("compose", draft.query);
}

function toastOf(page, entry, close) {
  const { send } = entry;
  const back = h("button", { type: "button", onclick: () => reopen(entry) }, t("compose.backToDraft"));
  const refused = refusedOf(send);
  if (send.status === "failed" && send.cause) return trouble(send.cause, back);
  if (send.status === "failed" || send.status === "cancelled") return h("p", {}, t("compose.notSent"), " ", back);
  if (send.status === "unknown") return trouble(send.cause ?? { message: t("compose.unknown"), fix: t("compose.unknownText"), acts: null });
  if (send.status === "sent") {
    if (refused.length) return trouble({ ...refused[0].cause, message: t("compose.refused", { names: names(refused), cause: refused[0].cause?.message ?? "" }) });
    return [h("p", { key: "sent" }, t("compose.sentTo", { names: names(send.recipients) })),
      send.thread_id && h("a", { key: "show", class: "button", href: to("threads", send.thread_id, { message: send.message_id }), onclick: close }, t("compose.show"))];
  }
  const cancel = send.can_cancel && act(page, `undo ${send.id}`, t("common.undo"), () => undo(send.id));
  if (send.cause) return h("div", { class: "stack tight" }, trouble(send.cause, cancel), send.next_try_at && h("p", { class: "hint" }, t("compose.triedAgain", { at: formatInstant(send.next_try_at) })));
  const wait = new Date(send.due_at).getTime() - Date.now();
  if (!isSoon(send)) return [h("p", { key: "later" }, t("compose.sentLater", { at: formatInstant(send.due_at) })), cancel];
  if (send.status === "queued" && wait > 0) {
    // Who listens hears once that it is going; the count is for who looks.
    return [h("p", { key: "count" }, h("span", { class: "visually-hidden" }, t("compose.sendingSoon")), h("span", { "aria-hidden": "true" }, t("compose.sendingIn", { n: Math.ceil(wait / 1000) }))), cancel];
  }
  return [h("p", { key: "sending" }, t("compose.sending")), cancel];
}

function tick(page) {
  ticking ||= setInterval(() => {
    const isCounting = [...following.values()].some(({ send }) => send.status === "queued" && isSoon(send) && new Date(send.due_at).getTime() > Date.now() - 1000);
    if (isCounting) page.changed();
    else {
      clearInterval(ticking);
      ticking = 0;
    }
  }, 1000);
}

const stored = () => JSON.parse(sessionStorage.getItem(STORED) ?? "[]");

function save() {
  const open = [...following.values()].filter(({ send }) => !ENDED.has(send.status));
  store(STORED, open.map(({ send, draft }) => ({ send, draft })));
}
