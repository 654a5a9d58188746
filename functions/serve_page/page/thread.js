// A conversation, oldest first: what is older is folded, the newest is open.

import { api, quote } from "./api.js";
import { changeable, mark, move } from "./changes.js";
import { h } from "./dom.js";
import { watch } from "./live.js";
import { messageBody, reading } from "./message.js";
import { ambiguity, holders, kindBadges, subjectOf } from "./message-list.js";
import * as outbox from "./outbox.js";
import { act, badge, dialog, field, heading, icon, link, loading, menu, problemBox, retryButton, select, when } from "./parts.js";
import { names, writable } from "./people.js";
import { to } from "./router.js";
import { t, wordOf } from "./texts.js";

const REFRESH_SECONDS = 20;
const PAGE = 100;
const FOLDED_FROM = 8;
const MOST_CONTACTS = 6;
const LEAVING = { queued: "busy", sending: "busy", sent: "good", unknown: "bad" };

export function open(page, place) {
  const id = place.path[1];
  const state = { items: null, problem: null, boxes: [], contacts: [], asked: place.query.message, read: new Map(), isUnfolded: false, places: new Map(), marked: new Set(), moving: null };
  const known = { get boxes() { return state.boxes; }, get contacts() { return state.contacts; } };

  const watched = watch(() => Promise.all([api.all(`/v1/threads/${quote(id)}`, { limit: PAGE }), state.items ? state.boxes : api.all("/v1/mailboxes")]), {
    show([items, boxes]) {
      const before = state.items;
      Object.assign(state, { items, boxes, problem: null });
      if (!before) begin();
      else for (const one of items) if (!before.some((old) => old.id === one.id)) arrived(one);
      page.changed();
    },
    failed(problem) {
      state.problem = problem;
      page.changed();
    },
    pause: () => REFRESH_SECONDS * 1000,
  });

  outbox.resume(page);
  const stopListening = outbox.onMoved(() => watched.again());

  function begin() {
    for (const one of [state.items.at(-1)?.id, state.asked]) if (state.items.some((item) => item.id === one)) read(one);
    const ids = [...new Set(state.items.flatMap((one) => one.contacts))].slice(0, MOST_CONTACTS);
    for (const one of ids) {
      api.get(`/v1/contacts/${quote(one)}`).then((found) => {
        state.contacts.push(found);
        page.changed();
      }, () => null); // Only what it is called is missing then.
    }
  }

  function arrived(one) {
    read(one.id);
    if (one.direction === "inbound") page.say(t("thread.arrived", { names: names(one.from, 1) }));
  }

  function read(one) {
    if (!state.read.has(one)) state.read.set(one, reading(page, one));
  }

  function toggle(one) {
    if (!state.read.delete(one)) read(one);
    page.changed();
  }

  function render() {
    const { items } = state;
    const subject = items?.length ? subjectOf(items[0]) : t("thread.title");
    return h("div", { class: "thread" },
      h("p", { class: "row" }, link(back(), backText(), { drawing: "back", kind: "back" })),
      heading(subject),
      state.contacts.length > 0 && h("p", { class: "muted" }, t("thread.with"), " ", state.contacts.map((one, n) =>
        [n > 0 && ", ", h("a", { href: to("conversations", { contact: one.id }) }, one.name)])),
      state.problem && problemBox(state.problem, retryButton(t("common.retry"), watched.again)),
      !items && !state.problem && loading(),
      items && h("ol", { class: "mails" }, shown(items).map((one) => (typeof one === "number" ? fold(one) : letter(one))), leaving(items)),
      items?.length > 0 && footer(items.at(-1)),
      state.moving && moveDialog());
  }

  /** The messages, and in place of many in the middle that nobody has opened, how many they are. */
  function shown(items) {
    if (state.isUnfolded || items.length < FOLDED_FROM) return items;
    const isKept = (one, n) => n === 0 || n >= items.length - 3 || state.read.has(one.id);
    const hidden = items.filter((one, n) => !isKept(one, n)).length;
    if (hidden < 2) return items;
    return [items[0], hidden, ...items.slice(1).filter((one, n) => isKept(one, n + 1))];
  }

  /** What is on its way into this thread, until it is here. */
  function leaving(items) {
    const bare = (text) => text?.replace(/[<>]/g, "");
    const here = new Set(items.map((one) => bare(one.internet_message_id)));
    const coming = outbox.inThread(id).filter(({ send }) => !here.has(bare(send.internet_message_id)));
    return coming.map(({ send, draft }) => h("li", { key: send.id, class: "mail-item leaving", ref: (element) => element.scrollIntoView({ block: "nearest" }) },
      h("div", { class: "row" }, badge(wordOf("compose.leaving", send.status), LEAVING[send.status]),
        h("span", {}, t("conversations.toWhom", { names: names(send.recipients) }))),
      h("p", { class: "words", dir: "auto" }, draft.text),
      send.status === "sent" && h("p", { class: "hint" }, t("compose.hereSoon"))));
  }

  const fold = (number) =>
    h("li", { key: "fold", class: "fold" },
      h("button", { type: "button", class: "quiet", onclick: () => ((state.isUnfolded = true), page.changed()) }, t("thread.older", { n: number })));

  function letter(one) {
    const opened = state.read.get(one.id);
    const copies = changeable(one, page.me, state.boxes);
    const isUnread = copies.some((copy) => !copy.seen);
    const isOut = one.direction === "outbound";
    return h("li", { key: one.id, class: isUnread ? "mail-item unread" : "mail-item", ref: (element) => one.id === state.asked && state.items[0].id !== one.id && element.scrollIntoView() },
      h("article", { "aria-label": t("thread.messageFrom", { names: names(one.from, 1) }) },
        h("div", { class: "mail-item-head" },
          h("button", { type: "button", class: "quiet", "aria-expanded": String(Boolean(opened)), onclick: () => toggle(one.id) },
            h("span", { class: isOut ? "way out" : "way" }, icon(isOut ? "sent" : "received"), h("span", { class: "visually-hidden" }, t(isOut ? "conversations.outbound" : "conversations.inbound"))),
            h("span", { class: "who" }, names(one.from, 2), isUnread && h("span", { class: "visually-hidden" }, ` ${t("conversations.unread")}`)),
            one.has_attachments && h("span", { class: "clip" }, icon("paperclip"), h("span", { class: "visually-hidden" }, t("conversations.hasAttachments"))),
            h("span", { class: "at" }, when(one.sent_at)),
            !opened && h("span", { class: "snippet" }, one.access === "full" ? one.snippet : wordOf("conversations.access", one.access))),
          opened && one.access === "full" && options(one, copies)),
        h("div", { class: "row about" }, kindBadges(one), state.places.has(one.id) && h("span", { class: "muted" }, state.places.get(one.id)),
          opened && holders(one, known),
          opened && isMarkable(one, copies) && act(page, `mark ${one.id}`, t(isUnread ? "thread.markRead" : "thread.markUnread"), () => marked(one, copies, isUnread), { kind: "quiet" })),
        opened && one.ambiguous.map((it) => h("p", { class: "hint" }, ambiguity(it, known))),
        opened && h("div", { class: "stack" }, messageBody(page, opened))));
  }

  // What has just been marked keeps its button, and who pressed it their place.
  const isMarkable = (one, copies) => state.marked.has(one.id) || copies.some((copy) => !copy.seen);

  function marked(one, copies, seen) {
    state.marked.add(one.id);
    return mark(page, one, copies, seen);
  }

  function options(one, copies) {
    const trash = () => move(page, one, copies, { trashed: true }, t("thread.trash"), placed(one));
    return menu(t("thread.options"),
      item("reply", t("thread.reply"), answer(one, "reply")),
      item("reply", t("thread.replyAll"), answer(one, "reply_all")),
      item("forward", t("thread.forward"), answer(one, "forward")),
      copies.length > 0 && [
        !isMarkable(one, copies) && button(t("thread.markUnread"), () => page.run(`mark ${one.id}`, () => marked(one, copies, false))),
        button(t("thread.move"), () => beginMove(one, copies)),
        button(t("thread.toTrash"), trash, "danger"),
      ]);
  }

  const item = (drawing, text, href) => link(href, text, { drawing });
  const button = (text, onclick, kind = "") => h("button", { type: "button", class: kind, onclick }, text);
  const answer = (one, kind) => to("compose", { answers: one.id, kind, thread: id });
  const placed = (one) => (text) => {
    if (text) state.places.set(one.id, text);
    else state.places.delete(one.id);
    page.changed();
  };

  async function beginMove(one, copies) {
    const boxIds = [...new Set(copies.map((copy) => copy.mailbox_id))];
    await page.run("folders", async () => {
      const choices = [];
      for (const boxId of boxIds) {
        const here = copies.find((copy) => copy.mailbox_id === boxId).folder_id;
        const box = state.boxes.find((it) => it.id === boxId);
        for (const folder of await api.all(`/v1/mailboxes/${quote(boxId)}/folders`)) {
          if (!folder.selectable || folder.id === here || ["all", "flagged", "drafts"].includes(folder.role)) continue;
          choices.push({ boxId, folder, text: boxIds.length > 1 ? `${box.address}: ${folder.name}` : folder.name });
        }
      }
      state.moving = { one, copies, choices, chosen: "0" };
    });
  }

  function moveDialog() {
    const { one, copies, choices } = state.moving;
    const close = () => {
      state.moving = null;
      page.changed();
    };
    const submit = () => {
      const { boxId, folder } = choices[Number(state.moving.chosen)];
      close();
      move(page, one, copies.filter((copy) => copy.mailbox_id === boxId), { folder_id: folder.id }, folder.name, placed(one));
    };
    return dialog(
      {
        title: t("thread.moveTitle"), close, submit,
        actions: [h("button", { type: "button", onclick: close }, t("common.cancel")), h("button", { type: "submit", class: "primary", disabled: !choices.length }, t("thread.moveNow"))],
      },
      field("move-folder", t("thread.folder"), select(page, state.moving, "chosen", choices.map((choice, n) => [n, choice.text])), { hint: t("thread.moveHint") }));
  }

  /** The newest is answered without looking for where. */
  function footer(newest) {
    if (newest.access !== "full") return null;
    if (!writable(page.me, state.boxes).length) return h("p", { class: "hint" }, t("thread.cannotAnswer"), " ", h("a", { href: "#/connect" }, t("conversations.connect")));
    const isForMany = newest.to.length + newest.cc.length > 1;
    return h("div", { class: "actions" },
      link(answer(newest, "reply"), t("thread.reply"), { kind: "button primary", drawing: "reply" }),
      isForMany && link(answer(newest, "reply_all"), t("thread.replyAll"), { kind: "button", drawing: "reply" }),
      link(answer(newest, "forward"), t("thread.forward"), { kind: "button", drawing: "forward" }));
  }

  const back = () => to("conversations", state.contacts.length ? { contact: state.contacts[0].id } : { all: 1 });
  const backText = () => state.contacts[0]?.name ?? t("conversations.allMail");

  return {
    title: () => (state.items?.length ? subjectOf(state.items[0]) : t("thread.title")),
    render,
    arrive(next) {
      state.asked = next.query.message;
      if (state.items?.some((one) => one.id === state.asked)) read(state.asked);
      watched.again();
    },
    close() {
      watched.stop();
      stopListening();
    },
  };
}
