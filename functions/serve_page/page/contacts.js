// The contacts of the team beside their mail: found by typing, added by name and address.

import { api, newKey, quote } from "./api.js";
import { h } from "./dom.js";
import { paged } from "./pages.js";
import { act, dialog, emptiness, field, icon, input, link, loading, problemBox, retryButton } from "./parts.js";
import { to } from "./router.js";
import { t } from "./texts.js";

const PAGE = 100;
const MOST_FILTERED = 1000;
const REFRESH_SECONDS = 60;

/** The list of contacts, as something a view can draw: `{list, render(chosenId), form(), stop()}`. */
export function contactList(page, opened) {
  const list = paged(page, (next) => api.get("/v1/contacts", { limit: PAGE, next }), REFRESH_SECONDS);
  const state = { filter: "", adding: null };

  function render(chosen, isAll) {
    const found = matching();
    return h("section", { class: "contacts", "aria-labelledby": "contacts-title" },
      h("div", { class: "row between" }, h("h2", { id: "contacts-title" }, t("conversations.contacts")),
        h("button", { type: "button", class: "quiet", onclick: begin }, icon("plus"), h("span", {}, t("conversations.addContact")))),
      (list.items.length > 8 || state.filter) && h("div", { class: "filter" },
        h("label", { class: "visually-hidden", for: "contact-filter" }, t("conversations.filterContacts")),
        h("input", { id: "contact-filter", type: "search", autocomplete: "off", placeholder: t("conversations.filterContacts"), value: state.filter, oninput: filter })),
      h("nav", { "aria-labelledby": "contacts-title" }, h("ul", {},
        h("li", { key: "all" }, h("a", { class: "contact", href: to("conversations", { all: 1 }), "aria-current": isAll ? "page" : null },
          h("strong", {}, t("conversations.allMail")), h("small", {}, t("conversations.allMailText")))),
        found.map((one) => contactLink(one, one.id === chosen)))),
      h("div", { "aria-live": "polite" }, state.filter && !found.length && !list.isAsking && h("p", { class: "muted" }, t("conversations.noContactMatches"))),
      list.problem && !list.isKnown && problemBox(list.problem, retryButton(t("common.retry"), list.again)),
      !list.isKnown && !list.problem && loading(),
      list.hasMore && act(page, "contacts.more", t("common.more"), list.more, { disabled: list.isAsking }));
  }

  function matching() {
    const wanted = state.filter.trim().toLowerCase();
    const found = list.items.filter((one) => !wanted || [one.name, ...one.addresses].some((text) => text.toLowerCase().includes(wanted)));
    return found.sort((one, other) => one.name.localeCompare(other.name));
  }

  function filter(event) {
    state.filter = event.target.value;
    page.changed();
    // What is typed may be the name of somebody further down.
    if (state.filter) list.all(MOST_FILTERED).catch((problem) => page.say("", { problem }));
  }

  function begin() {
    state.adding = { id: newKey(), name: "", addresses: "", wrong: {} };
    page.changed();
  }

  /** The dialogue that adds somebody, while it is open. */
  function form() {
    const adding = state.adding;
    if (!adding) return null;
    const close = () => {
      state.adding = null;
      page.changed();
    };
    return dialog(
      {
        title: t("conversations.addContact"), close, submit: () => page.run("contacts.add", add),
        actions: [h("button", { type: "button", onclick: close }, t("common.cancel")),
          h("button", { type: "submit", class: "primary", disabled: page.isBusy("contacts.add") }, t("conversations.add"))],
      },
      h("p", {}, t("conversations.addContactText")),
      field("contact-name", t("conversations.contactName"), input(page, adding, "name", { maxlength: "200", autocomplete: "off" }), { error: adding.wrong.name }),
      field("contact-addresses", t("conversations.contactAddresses"), input(page, adding, "addresses", { autocomplete: "off", inputmode: "email" }),
        { hint: t("conversations.contactAddressesHint"), error: adding.wrong.addresses }),
    );
  }

  async function add() {
    const adding = state.adding;
    const addresses = adding.addresses.split(/[\s,;]+/).filter(Boolean);
    adding.wrong = {};
    if (!adding.name.trim()) adding.wrong.name = t("conversations.nameMissing");
    if (!addresses.length || !addresses.every((one) => /^[^@]+@[^@]+$/.test(one))) adding.wrong.addresses = t("conversations.addressMissing");
    if (Object.keys(adding.wrong).length) return document.getElementById(adding.wrong.name ? "contact-name" : "contact-addresses").focus();
    const made = await api.put(`/v1/contacts/${quote(adding.id)}`, { name: adding.name.trim(), addresses });
    list.items = [made, ...list.items.filter((one) => one.id !== made.id)];
    state.adding = null;
    opened(made);
  }

  return { list, render, form, begin, stop: list.stop };
}

const contactLink = (one, isChosen) =>
  h("li", { key: one.id }, h("a", { class: "contact", href: to("conversations", { contact: one.id }), "aria-current": isChosen ? "page" : null },
    h("strong", {}, one.name), h("small", {}, one.addresses.join(", ") || t("conversations.noAddress"))));

/** Nobody is there yet: what contacts are, and how to get them; before there is a mailbox, to connect one. */
export function noContacts(boxes, begin) {
  if (!boxes.length) {
    return emptiness(t("conversations.noMailbox"), t("conversations.noMailboxText"), link("#/connect", t("conversations.connect"), { kind: "primary" }));
  }
  return emptiness(t("conversations.noContacts"), t("conversations.noContactsText"),
    h("button", { type: "button", class: "primary", onclick: begin }, icon("plus"), h("span", {}, t("conversations.addContact"))),
    link(to("mailboxes"), t("conversations.letMailboxMake"), { kind: "button" }));
}
