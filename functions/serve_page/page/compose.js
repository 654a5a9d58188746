// Writing: a mail, an answer, or what is passed on.

import { api, quote } from "./api.js";
import { h } from "./dom.js";
import * as drafts from "./drafts.js";
import { attaching } from "./files.js";
import * as outbox from "./outbox.js";
import { act, checkbox, emptiness, field, heading, input, link, loading, problemBox, retryButton } from "./parts.js";
import { inFull, usualMailbox, writable } from "./people.js";
import { isAddress, knownAddresses, people, recipientsField } from "./recipients.js";
import { go, to } from "./router.js";
import { formatInstant, t } from "./texts.js";

const UNDO_SECONDS = 10;
const LATEST_DAYS = 60;
const MOST_CONTACTS = 1000;
const FIELDS = ["to", "cc", "bcc"];
const KINDS = ["reply", "reply_all", "forward"];

/** Drafts that were left while files of theirs were on their way: gone on with as they are. */
const left = new Map();

export function open(page, place) {
  let state = null;
  let isOpen = true;
  arrive(place);
  outbox.resume(page);

  function arrive(next) {
    leave();
    const name = drafts.nameOf(next.query);
    const kept = drafts.kept(name);
    const before = left.get(name);
    left.delete(name);
    // What this tab no longer keeps was discarded, or is another person's.
    state = kept && before?.draft.key === kept.key ? before : writing(kept ?? drafts.begun(next.query));
    load(state);
  }

  function writing(draft) {
    const begun = { draft, boxes: null, contacts: [], signature: null, answer: null, problem: null, wrong: {}, typing: {}, showsCopies: draft.cc.length + draft.bcc.length > 0, refused: null, isSending: false, isSent: false };
    begun.files = attaching(page, draft, () => touched(begun));
    return begun;
  }

  async function load(begun) {
    const { draft } = begun;
    const { answers } = draft.query;
    begun.problem = null;
    findContacts(begun);
    try {
      const [boxes, signature] = await Promise.all([api.all("/v1/mailboxes"), api.get("/v1/signature")]);
      begun.boxes = writable(page.me, boxes);
      begun.signature = signature;
      if (answers && begun.boxes.length) await prefill(begun, await api.get(`/v1/messages/${quote(answers)}/answer`, { kind: kindOf(draft.query), mailbox_id: draft.mailbox }));
      if (!draft.mailbox) draft.mailbox = usualMailbox(page.me, begun.boxes)?.id ?? "";
    } catch (problem) {
      begun.problem = problem;
    }
    page.changed();
  }

  async function findContacts(begun) {
    try {
      begun.contacts = await api.all("/v1/contacts", { limit: 100 }, MOST_CONTACTS);
    } catch (problem) {
      return void page.say("", { problem });
    }
    // A name that was typed before may be one of theirs.
    for (const name of FIELDS) {
      begun.draft[name] = begun.draft[name].flatMap((one) => (isAddress(one.address) ? [one] : people(one.address, begun.contacts)));
    }
    page.changed();
  }

  /** What an answer begins with; of a draft that somebody has changed, only what they do not write. */
  async function prefill(begun, answer) {
    const { draft } = begun;
    if (!draft.query.thread) draft.query = { ...draft.query, thread: (await api.get(`/v1/messages/${quote(draft.query.answers)}`)).thread_id };
    begun.answer = answer;
    if (draft.isTouched) return;
    Object.assign(draft, { mailbox: answer.mailbox_id, from: answer.from, to: bare(answer.to), cc: bare(answer.cc), subject: answer.subject });
    begun.showsCopies ||= draft.cc.length > 0;
  }

  /** A file may arrive when another draft is open, or this one is gone. */
  function touched(begun = state) {
    if (begun.isSent) return;
    begun.draft.isTouched = true;
    drafts.keep(begun.draft);
    page.changed();
  }

  /** What is being typed becomes a recipient first; then all has to be as it can be sent. */
  function check() {
    const { draft, typing } = state;
    for (const name of FIELDS) {
      draft[name] = [...draft[name], ...people(typing[name] ?? "", state.contacts)];
      typing[name] = "";
    }
    state.wrong = {};
    const all = FIELDS.flatMap((name) => draft[name]);
    if (!all.length) state.wrong.to = t("compose.nobody");
    const at = draft.sendAt ? new Date(draft.sendAt).getTime() : null;
    if (at !== null && !(at > Date.now() && at < Date.now() + LATEST_DAYS * 86_400_000)) state.wrong.sendAt = t("compose.wrongTime", { n: LATEST_DAYS });
    page.changed();
    const firstWrong = FIELDS.find((name) => draft[name].some((one) => !isAddress(one.address)));
    const focus = firstWrong ? `recipients-${firstWrong}` : state.wrong.to ? "recipients-to" : state.wrong.sendAt ? "send-at" : null;
    if (focus) document.getElementById(focus)?.focus();
    return !focus;
  }

  function asked(draft) {
    const { answers } = draft.query;
    return {
      mailbox_id: draft.mailbox, from: draft.from ? { address: draft.from } : null,
      to: draft.to, cc: draft.cc, bcc: draft.bcc, subject: draft.subject, text: draft.text, signature: draft.signs,
      attachments: draft.files.map((one) => ({ upload_id: one.upload_id })),
      answers: answers ? { message_id: answers, kind: kindOf(draft.query), quote: draft.quotes, forward_attachments: draft.forwardsFiles } : null,
      send_at: draft.sendAt ? new Date(draft.sendAt).toISOString() : null, undo_seconds: UNDO_SECONDS,
    };
  }

  async function send() {
    const sending = state;
    const { draft } = sending;
    sending.refused = null;
    if (!check()) return;
    if (sending.files.isBusy()) return void page.say(t("compose.filesUnderWay"));
    if (sending.files.hasFailed()) return void page.say(t("compose.filesFailed"));
    // Who goes elsewhere meanwhile stays there, and hears of it if it is refused.
    const isShown = () => isOpen && state === sending;
    sending.isSending = true;
    try {
      const mail = await post(draft);
      sending.isSent = true;
      outbox.taken(page, mail, { ...draft });
      if (isShown()) away(draft);
    } catch (problem) {
      if (isShown()) sending.refused = problem;
      else {
        page.say("", { problem });
        page.say(t("compose.stillDraft"));
      }
    } finally {
      sending.isSending = false;
    }
  }

  /** Sent again after a broken line it is the same mail, also where it was changed meanwhile: what the API took is what is sent. */
  async function post(draft) {
    const body = asked(draft);
    const before = draft.asked;
    draft.asked ??= body;
    drafts.keep(draft);
    try {
      return await api.post("/v1/sends", body, draft.key);
    } catch (problem) {
      if (problem.code === "key_reused" && before) {
        const mail = await api.post("/v1/sends", before, draft.key);
        page.say(t("compose.takenBefore"));
        return mail;
      }
      // Refused for good, nothing was taken: what is sent next may be another.
      if (problem.requestId && problem.status < 500) draft.asked = null;
      else draft.asked = before ?? body;
      drafts.keep(draft);
      throw problem;
    }
  }

  function away({ query }) {
    if (query.thread) go("threads", query.thread);
    else if (query.contact) go("conversations", { contact: query.contact });
    else go("conversations", { all: 1 });
  }

  function discard() {
    const gone = state;
    drafts.drop(gone.draft);
    gone.isSent = true;
    away(gone.draft);
    page.say(t("compose.discarded"), { undo: () => {
      gone.isSent = false;
      left.set(drafts.nameOf(gone.draft.query), gone);
      drafts.keep(gone.draft);
      location.hash = to("compose", gone.draft.query);
    } });
  }

  function leave() {
    if (!state || state.isSent || state.isSending) return;
    if (state.files.isBusy()) {
      touched();
      left.set(drafts.nameOf(state.draft.query), state);
    }
    if (state.draft.isTouched) page.say(t("compose.kept"));
  }

  function close() {
    leave();
    isOpen = false;
  }

  function render() {
    const { draft, boxes, problem } = state;
    const kind = kindOf(draft.query);
    // Who types before it is known whom an answer goes to would have changed a draft that says nothing of that.
    const isBegun = boxes !== null && (!draft.query.answers || !boxes.length || state.answer !== null);
    return h("div", { class: "compose" },
      heading(t(`compose.titles.${kind}`)),
      problem && problemBox(problem, retryButton(t("common.retry"), () => load(state)), link("#/mailboxes", t("conversations.toMailboxes"), { kind: "button" })),
      !isBegun && !problem && loading(),
      boxes && !boxes.length && emptiness(t("compose.noMailbox"), t("compose.noMailboxText"), link("#/connect", t("conversations.connect"), { kind: "primary" })),
      isBegun && boxes.length > 0 && form(kind));
  }

  function form(kind) {
    const { draft, answer, typing, wrong } = state;
    const changed = () => touched();
    const noted = { changed };
    const recipients = (name) => recipientsField(name, draft, typing, state.contacts, wrong[name], changed);
    return h("form", { class: "stack", key: drafts.nameOf(draft.query), onsubmit: (event) => (event.preventDefault(), page.run("send", send)) },
      senderField(),
      recipients("to"),
      state.showsCopies ? [recipients("cc"), recipients("bcc")]
        : h("button", { key: "copies", type: "button", class: "link", onclick: () => ((state.showsCopies = true), page.changed()) }, t("compose.addCopies")),
      answer?.left_out.length > 0 && h("p", { key: "left-out", class: "hint" }, t("compose.leftOut", { names: answer.left_out.map(inFull).join(", ") })),
      h("div", { key: "subject" }, field("subject", t("compose.subject"), input(noted, draft, "subject", { autocomplete: "off", maxlength: "900" }))),
      h("div", { key: "text" }, field("text", t("compose.text"),
        h("textarea", { value: draft.text, rows: "12", dir: "auto", ref: begin, oninput: (event) => ((draft.text = event.target.value), touched()), onkeydown: sendByKeys }))),
      below(kind, noted),
      h("div", { key: "files" }, state.files.render()),
      later(noted),
      h("div", { key: "refused", "aria-live": "polite" }, state.refused && problemBox(state.refused)),
      h("div", { key: "actions", class: "actions" },
        h("button", { type: "submit", class: "primary", disabled: page.isBusy("send"), "aria-busy": page.isBusy("send") ? "true" : null }, t(draft.sendAt ? "compose.sendLaterNow" : "compose.send")),
        act(page, "discard", t("compose.discard"), discard, { kind: "quiet" }),
        h("p", { class: "hint" }, draft.isTouched ? t("compose.isKept") : "")),
      knownAddresses(state.contacts));
  }

  /** Whoever answers writes at once, unless they are elsewhere by then; whom a mail goes to that is passed on has to be said first. */
  function begin() {
    const { query, to: recipients } = state.draft;
    const isElsewhere = document.activeElement.matches("input, textarea, select, button, a, summary");
    if (query.answers && !isElsewhere) document.getElementById(recipients.length ? "text" : "recipients-to").focus();
  }

  function sendByKeys(event) {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) page.run("send", send);
  }

  function senderField() {
    const { draft, boxes } = state;
    const senders = boxes.flatMap((box) => [{ box, address: box.address }, ...box.aliases.filter((one) => one.verified_at).map((one) => ({ box, address: one.address }))]);
    const chosen = senders.findIndex(({ box, address }) => box.id === draft.mailbox && address === (draft.from || box.address));
    const onchange = (event) => {
      const { box, address } = senders[Number(event.target.value)];
      Object.assign(draft, { mailbox: box.id, from: address === box.address ? "" : address });
      touched();
    };
    return h("div", { key: "sender" }, field("sender", t("compose.from"),
      h("select", { value: String(Math.max(chosen, 0)), onchange }, senders.map(({ box, address }, n) =>
        h("option", { value: String(n) }, box.display_name ? `${box.display_name} <${address}>` : address)))));
  }

  /** What stands below what they write: their signature, and what they answer. */
  function below(kind, noted) {
    const { draft, signature, answer } = state;
    return h("div", { key: "below", class: "stack tight below" },
      signature?.text && [checkbox(noted, draft, "signs", t("compose.signs")), draft.signs && h("p", { class: "words muted", dir: "auto" }, signature.text)],
      answer?.quoted_text && [
        checkbox(noted, draft, "quotes", t(kind === "forward" ? "compose.forwards" : "compose.quotes")),
        draft.quotes && h("details", {}, h("summary", {}, t("thread.quoted")), h("div", { class: "words muted", dir: "auto" }, answer.quoted_text))],
      kind === "forward" && checkbox(noted, draft, "forwardsFiles", t("compose.forwardsFiles")));
  }

  function later(noted) {
    const { draft, wrong } = state;
    return h("details", { key: "later", open: draft.sendAt || state.showsLater ? true : null, ontoggle: (event) => ((state.showsLater = event.target.open), page.changed()) },
      h("summary", {}, t("compose.later")),
      field("send-at", t("compose.sendAt"), input(noted, draft, "sendAt", { type: "datetime-local" }), {
        hint: draft.sendAt && !Number.isNaN(new Date(draft.sendAt).getTime()) ? t("compose.laterAt", { at: formatInstant(draft.sendAt) }) : t("compose.laterHint", { n: LATEST_DAYS }), error: wrong.sendAt,
      }));
  }

  return { title: () => t(`compose.titles.${kindOf(state.draft.query)}`), render, arrive, close };
}

const kindOf = ({ answers, kind }) => (!answers ? "message" : KINDS.includes(kind) ? kind : "reply");
const bare = (people) => people.map(({ address, name }) => ({ address, name }));
