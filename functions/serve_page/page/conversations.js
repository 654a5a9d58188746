// Contacts beside their mail: a timeline of each, all mail newest first, and what a search finds.

import { api, quote } from "./api.js";
import { contactList } from "./contacts.js";
import { h } from "./dom.js";
import { waitingDrafts } from "./drafts.js";
import { messageList } from "./message-list.js";
import * as outbox from "./outbox.js";
import { outgoing } from "./outgoing.js";
import { paged } from "./pages.js";
import { act, badge, emptiness, heading, link, loading, problemBox, retryButton } from "./parts.js";
import { writable } from "./people.js";
import { go, replace, to } from "./router.js";
import { isName, parse, searchForm, toQuery } from "./search.js";
import { t } from "./texts.js";

const PAGE = 50;
const REFRESH_SECONDS = 30;
const MOST_CONTACTS = 1000;
const HEADINGS = { all: "allMail", search: "found", outgoing: "outgoing" };

export function open(page, place) {
  const state = { place, boxes: null, problem: null, contact: null, messages: null, outgoing: null, shown: null, folders: {}, everybody: null, isFinding: false, line: "", isNarrow: false, wrong: {} };
  const contacts = contactList(page, (made) => go("conversations", { contact: made.id }));
  const known = {
    get boxes() {
      return state.boxes ?? [];
    },
    get contacts() {
      const all = [...(state.contact ? [state.contact] : []), ...contacts.list.items, ...(state.everybody ?? [])];
      return [...new Map(all.map((one) => [one.id, one])).values()];
    },
    /** The folders of a mailbox; null until they are known, which is when it draws again. */
    folders(id) {
      if (id && !(id in state.folders)) {
        state.folders[id] = null;
        api.all(`/v1/mailboxes/${quote(id)}/folders`).then((items) => (state.folders[id] = items), (problem) => {
          state.folders[id] = [];
          page.say("", { problem });
        }).finally(() => (page.changed(), search()));
      }
      return state.folders[id] ?? null;
    },
  };

  async function begin() {
    try {
      state.boxes = await api.all("/v1/mailboxes");
      state.problem = null;
      arrive(state.place);
    } catch (problem) {
      state.problem = problem;
    }
    page.changed();
  }

  function arrive(next) {
    state.place = next;
    const { contact, q, outgoing: isOut } = next.query;
    state.line = q ?? "";
    if (state.boxes === null) return;
    if (!isOut) endOutgoing();
    if (q !== undefined) search();
    else if (isOut) state.outgoing ??= outgoing(page, writable(page.me, state.boxes));
    else if (contact) timeline(contact);
    else show("all", (from) => api.get("/v1/messages", { limit: PAGE, next: from }));
    page.changed();
  }

  function endOutgoing() {
    state.outgoing?.stop();
    state.outgoing = null;
  }

  /** Have a list of messages be shown, unless it is already. */
  function show(key, ask) {
    if (state.shown === key) return;
    state.messages?.stop();
    state.shown = key;
    state.messages = paged(page, ask, REFRESH_SECONDS);
  }

  async function timeline(id) {
    show(`contact ${id}`, (from) => api.get(`/v1/contacts/${quote(id)}/messages`, { limit: PAGE, next: from }));
    if (state.contact?.id === id) return;
    state.contact = contacts.list.items.find((one) => one.id === id) ?? null;
    if (state.contact) return;
    try {
      const found = await api.get(`/v1/contacts/${quote(id)}`);
      if (state.place.query.contact === id) state.contact = found;
    } catch (problem) {
      // Somebody made two contacts one meanwhile: the link goes on to what it is now.
      if (problem.body?.merged_into) replace("conversations", { contact: problem.body.merged_into });
      else if (state.messages) state.messages.problem = problem;
    }
    page.changed();
  }

  function search() {
    if (state.place.query.q === undefined) return;
    const asked = parse(state.place.query.q);
    if (!state.everybody && [asked.from, asked.to].some(isName)) return void findEverybody();
    const { query, wrong } = toQuery(asked, known);
    state.wrong = wrong;
    if (Object.keys(wrong).length || (asked.folder && !query.folder)) {
      state.messages?.stop();
      state.messages = state.shown = null;
      return;
    }
    show(`search ${JSON.stringify(query)}`, (from) => api.get("/v1/messages", { ...query, limit: PAGE, next: from }));
  }

  /** A name in a search may be that of somebody far down the contacts, or of two people. */
  async function findEverybody() {
    if (state.isFinding) return;
    state.messages?.stop();
    Object.assign(state, { messages: null, shown: null, wrong: {}, isFinding: true });
    try {
      state.everybody = await api.all("/v1/contacts", { limit: 100 }, MOST_CONTACTS);
    } catch (problem) {
      state.everybody = [];
      page.say("", { problem });
    }
    state.isFinding = false;
    search();
    page.changed();
  }

  function submit() {
    const line = state.line.trim();
    if (!line) return go("conversations", { all: 1 });
    if (line === state.place.query.q) {
      search();
      page.changed();
    } else go("conversations", { q: line });
  }

  /** What is open: "search", "outgoing", "contact" with an id, or "all", which is also what stands beside the contacts at first. */
  function where({ contact, q, outgoing: isOut } = state.place.query) {
    if (q !== undefined) return "search";
    if (isOut) return "outgoing";
    return contact ? `contact ${contact}` : "all";
  }

  function render() {
    const isWriter = writable(page.me, known.boxes).length > 0;
    const isBare = !known.boxes.length && contacts.list.isKnown && !contacts.list.items.length && where() === "all";
    return [
      heading(t("conversations.title"), isWriter && link(to("compose"), t("conversations.write"), { kind: "button primary", drawing: "plus" })),
      state.problem && problemBox(state.problem, retryButton(t("common.retry"), begin)),
      !state.boxes && !state.problem && loading(),
      waitingDrafts(),
      known.boxes.length > 0 && searchForm(page, state, known, where() === "search" ? state.wrong : {}, submit),
      state.boxes && (isBare
        ? emptiness(t("conversations.noMailbox"), t("conversations.noMailboxText"), link("#/connect", t("conversations.connect"), { kind: "primary" }))
        : h("div", { class: Object.keys(state.place.query).length ? "conversations reading" : "conversations" },
          contacts.render(where(), isWriter), h("div", { class: "mail" }, mail()))),
      contacts.form(),
    ];
  }

  function mail() {
    const place = where();
    return [
      h("p", { class: "to-contacts" }, link(to("conversations"), t("conversations.contacts"), { drawing: "back" })),
      state.place.query.contact && place !== "search" ? about(state.place.query.contact) : h("h2", { key: place }, t(`conversations.${HEADINGS[place]}`)),
      place === "outgoing" ? state.outgoing?.render() : state.messages ? listed(state.messages, place) : state.isFinding ? loading() : h("p", { class: "hint" }, t("conversations.cannotSearch")),
    ];
  }

  function about(id) {
    const one = state.contact?.id === id ? state.contact : null;
    if (!one) return h("h2", { key: "title" }, t("conversations.timeline"));
    return h("div", { class: "contact-head", key: one.id },
      h("div", {}, h("h2", {}, one.name), h("p", { class: "muted" }, one.addresses.join(", ") || t("conversations.noAddress")),
        one.made_from_mail && badge(t("conversations.madeFromMail"))),
      one.addresses.length > 0 && writable(page.me, known.boxes).length > 0 &&
        link(to("compose", { to: one.addresses[0], contact: one.id }), t("conversations.writeTo"), { kind: "button", drawing: "conversations" }));
  }

  function listed(messages, place) {
    return [
      messages.problem && problemBox(messages.problem, retryButton(t("common.retry"), messages.again)),
      !messages.isKnown && !messages.problem && loading(),
      messages.isKnown && !messages.items.length && !messages.hasMore && nothing(place),
      messageList(messages.items, known),
      messages.hasMore && h("div", { class: "actions" }, act(page, "messages.more", t("common.more"), messages.more, { disabled: messages.isAsking })),
    ];
  }

  function nothing(place) {
    if (place === "search") return emptiness(t("conversations.nothingFound"), t("conversations.searchHint"));
    const mailboxes = link(to("mailboxes"), t("conversations.toMailboxes"), { kind: "button" });
    return emptiness(...(place === "all" ? [t("conversations.noMail"), t("conversations.noMailText")] : [t("conversations.noMailWith"), t("conversations.noMailWithText")]), mailboxes);
  }

  outbox.resume(page);
  const stopListening = outbox.onMoved(() => (state.outgoing ?? state.messages)?.again());
  begin();
  return {
    title: () => (state.place.query.contact && state.contact?.name) || t("conversations.title"),
    render,
    arrive,
    close() {
      stopListening();
      contacts.stop();
      endOutgoing();
      state.messages?.stop();
    },
  };
}
