// The contacts of the team beside their mail: found by typing, added by name and address.

import { api, newKey, quote } from "./api.js";
import { h } from "./dom.js";
import { paged } from "./pages.js";
import { act, dialog, field, icon, input, loading, problemBox, retryButton } from "./parts.js";
import { to } from "./router.js";
import { t } from "./texts.js";

const PAGE = 100;
const MOST_FILTERED = 1000;
const REFRESH_SECONDS = 60;

/** The list of contacts, as something a view can draw: `{list, render(chosenId), form(), stop()}`. */
export function contactList(page, opened) {
  const list = paged(page, (next) => api.get("/v1/contacts", { limit: PAGE, next }), REFRESH_SECONDS);
  const state = { filter: "", adding: null };

  /** `place` is which entry is open: "all", "outgoing", or "contact" with an id. */
  function render(place, hasOutgoing) {
    const found = matching();
    return h("section", { class: "contacts", "aria-labelledby": "contacts-title" },
      h("div", { class: "row between" }, h("h2", { id: "contacts-title" }, t("conversations.contacts")),
        h("button", { type: "button", class: "quiet", onclick: begin }, icon("plus"), h("span", {}, t("conversations.addContact")))),
      (list.items.length > 8 || state.filter) && h("div", { class: "filter" },
        h("label", { class: "visually-hidden", for: "contact-filter" }, t("conversations.filterContacts")),
        h("input", { id: "contact-filter", type: "search", autocomplete: "off", placeholder: t("conversations.filterContacts"), value: state.filter, oninput: filter })),
      h("nav", { "aria-labelledby": "contacts-title" }, h("ul", {},
        h("li", { key: "all" }, entry(to("conversations", { all: 1 }), t("conversations.allMail"), t("conversations.allMailText"), place === "all")),
        hasOutgoing && h("li", { key: "outgoing" }, entry(to("conversations", { outgoing: 1 }), t("conversations.outgoing"), t("conversations.outgoingText"), place === "outgoing")),
        found.map((one) => h("li", { key: `contact ${one.id}` },
          entry(to("conversations", { contact: one.id }), one.name, one.addresses.join(", ") || t("conversations.noAddress"), place === `contact ${one.id}`))))),
      list.isKnown && !list.items.length && h("div", { class: "hint-box stack tight" }, h("p", {}, t("conversations.noContacts")),
        h("p", { class: "hint" }, t("conversations.noContactsText")), h("p", {}, h("a", { href: to("mailboxes") }, t("conversations.letMailboxMake")))),
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

  return { list, render, form, stop: list.stop };
}

const entry = (href, name, text, isHere) =>
  h("a", { class: "contact", href, "aria-current": isHere ? "page" : null }, h("strong", {}, name), h("small", {}, text));
