// What was sent from the mailboxes somebody writes from, newest first: what waits, what is on its way, what went wrong.

import { api, quote } from "./api.js";
import { h } from "./dom.js";
import { watch } from "./live.js";
import * as outbox from "./outbox.js";
import { act, badge, dialog, emptiness, link, loading, problemBox, retryButton, trouble, when } from "./parts.js";
import { names } from "./people.js";
import { to } from "./router.js";
import { formatInstant, t, wordOf } from "./texts.js";

const PAGE = 25;
const MOST = 100;
const MOST_MAILBOXES = 20;
const COLOURS = { sent: "good", failed: "bad", unknown: "bad", queued: "busy", sending: "busy" };
const MOVING = new Set(["queued", "sending"]);

/** The list of what `boxes` send, as something a view can draw: `{render(), again(), stop()}`. */
export function outgoing(page, boxes) {
  const state = { sends: null, limit: PAGE, hasMore: false, problem: null, leaving: null };
  const watched = watch(() => Promise.all(boxes.slice(0, MOST_MAILBOXES).map((box) => api.get(`/v1/mailboxes/${quote(box.id)}/sends`, { limit: state.limit }))), {
    show(answers) {
      const all = answers.flatMap((answer) => answer.items).filter((one) => one.kind !== "test");
      state.sends = all.sort((one, other) => other.created_at.localeCompare(one.created_at));
      state.hasMore = answers.some((answer) => answer.next);
      state.problem = null;
      page.changed();
    },
    failed(problem) {
      state.problem = problem;
      page.changed();
    },
    pause: () => (state.sends.some((one) => MOVING.has(one.status) && new Date(one.due_at).getTime() < Date.now() + 60_000) ? 3000 : 60_000),
  });

  function render() {
    return [
      state.problem && problemBox(state.problem, retryButton(t("common.retry"), watched.again)),
      !state.sends && !state.problem && loading(),
      state.sends?.length === 0 && emptiness(t("compose.nothingSent"), t("compose.nothingSentText")),
      state.sends?.length > 0 && h("ol", { class: "messages" }, state.sends.map(row)),
      state.hasMore && state.limit < MOST && h("div", { class: "actions" }, act(page, "outgoing.more", t("common.more"), more)),
      state.hasMore && state.limit === MOST && h("p", { class: "hint" }, t("compose.latestSent", { n: MOST })),
      boxes.length > MOST_MAILBOXES && h("p", { class: "hint" }, t("compose.fewMailboxes", { n: MOST_MAILBOXES })),
      state.leaving && question(),
    ];
  }

  function more() {
    state.limit = MOST;
    return watched.again();
  }

  function row(send) {
    const refused = send.recipients.filter((one) => one.status === "refused" && one.cause);
    return h("li", { key: send.id, class: "message outgoing" },
      h("div", { class: "row between" }, h("strong", {}, t("conversations.toWhom", { names: names(send.recipients) || t("common.unknown") })), badge(wordOf("compose.states", send.status), COLOURS[send.status])),
      h("p", {}, send.subject?.trim() || t("conversations.noSubject")),
      h("p", { class: "hint" }, send.from, " · ", send.status === "queued" ? t("compose.sentLater", { at: formatInstant(send.due_at) }) : when(send.sent_at ?? send.created_at)),
      send.cause && send.status !== "cancelled" && trouble(send.cause),
      refused.map((one) => trouble({ ...one.cause, message: t("compose.refused", { names: one.address, cause: one.cause.message }) })),
      h("div", { class: "actions" },
        send.thread_id && link(to("threads", send.thread_id, { message: send.message_id }), t("compose.show"), { kind: "button" }),
        send.can_cancel && (outbox.isOfThisTab(send.id)
          ? act(page, `undo ${send.id}`, t("compose.backToDraft"), () => outbox.undo(send.id))
          : h("button", { type: "button", onclick: () => ask(send) }, t("compose.callOff")))));
  }

  function ask(send) {
    state.leaving = send;
    page.changed();
  }

  function question() {
    const send = state.leaving;
    const close = () => ask(null);
    return dialog(
      {
        title: t("compose.callOffTitle"), close,
        actions: [h("button", { type: "button", onclick: close }, t("compose.letItGo")), act(page, `cancel ${send.id}`, t("compose.callOff"), () => cancel(send), { kind: "danger primary" })],
      },
      h("p", {}, t("compose.callOffText", { subject: send.subject?.trim() || t("conversations.noSubject"), names: names(send.recipients) })));
  }

  async function cancel(send) {
    ask(null);
    try {
      await api.post(`/v1/mailboxes/${quote(send.mailbox_id)}/sends/${quote(send.id)}/cancel`);
      page.say(t("compose.calledOff"));
    } finally {
      // Where it had left already, it says so now.
      await watched.again();
    }
  }

  return { render, again: watched.again, stop: watched.stop };
}
