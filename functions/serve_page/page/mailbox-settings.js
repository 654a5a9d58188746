// A mailbox's settings: changed together, saved at once, and kept while the page looks at the mailbox again.

import { api, quote } from "./api.js";
import { h } from "./dom.js";
import { aliases } from "./mailbox-aliases.js";
import { mayChange, readsMail } from "./mailbox-words.js";
import { checkbox, field, input, select } from "./parts.js";
import { signature } from "./signature.js";
import { t } from "./texts.js";
import { follow, typed } from "./typed.js";

const PURPOSES = ["personal", "sales", "support", "billing", "other"];
const LEVELS = ["metadata", "subject", "full"];
const CADENCES = [1, 2, 5, 10, 15, 30, 60];
const NOT_SHARED = new Set(["granted_to"]);
const OWNERS_OWN = new Set(["visibility", "owner_user_id"]);

/** The form of a mailbox: texts as they are typed. */
const formOf = (mailbox) => ({
  display_name: mailbox.display_name,
  reply_to: mailbox.reply_to ?? "",
  purpose: mailbox.purpose,
  recovery_note: mailbox.recovery_note ?? "",
  visibility: mailbox.visibility,
  readers: mailbox.granted_to === "everyone" ? "everyone" : "some",
  users: Array.isArray(mailbox.granted_to) ? mailbox.granted_to.join(", ") : "",
  owner_user_id: mailbox.owner_user_id,
  store: mailbox.store,
  create_contacts: mailbox.create_contacts,
  sync_minutes: String(mailbox.sync_minutes),
});

const isSame = (one, other) => JSON.stringify(one) === JSON.stringify(other);

/** The same as the API takes it. */
const asked = (form) => ({
  display_name: form.display_name.trim(),
  reply_to: form.reply_to.trim() || null,
  purpose: form.purpose,
  recovery_note: form.recovery_note.trim(),
  visibility: form.visibility,
  granted_to: form.readers === "everyone" ? "everyone" : form.users.split(/[\s,;]+/).filter(Boolean),
  owner_user_id: form.owner_user_id.trim(),
  store: form.store,
  create_contacts: form.create_contacts,
  sync_minutes: Number(form.sync_minutes),
});

export function settingsPart(page, id, { reload, leave }) {
  const names = aliases(page, id, reload);
  const signed = signature(page);
  /** `form` as it was typed, `before` as the mailbox was, and what was wrong with the fields of what was `refused`. */
  const state = typed(`settings ${id}`, () => ({ before: null, form: null, errors: {}, refused: null }));

  /** What was changed, as the API takes it. */
  function changes() {
    const [was, is] = [asked(state.before), asked(state.form)];
    return Object.fromEntries(Object.entries(is).filter(([name, value]) => !isSame(value, was[name])));
  }

  function take(mailbox) {
    state.before = formOf(mailbox);
    state.form = formOf(mailbox);
  }

  /** What is wrong with a field, until it is another. */
  const errorOf = (name) => (state.errors[name] && isSame(asked(state.form)[name], state.refused[name]) ? state.errors[name] : null);

  async function save() {
    const sent = { ...state.form };
    state.errors = {};
    try {
      const changed = await api.patch(`/v1/mailboxes/${quote(id)}`, changes());
      state.before = formOf(changed);
      // What was typed meanwhile is still to be saved.
      follow(state.form, sent, state.before);
      reload(changed);
      page.say(t("common.saved"));
    } catch (problem) {
      if (!problem.errors?.length) throw problem;
      // A list's field is named with its place in it: granted_to.0
      state.errors = Object.fromEntries(problem.errors.map((one) => [one.field.split(".")[0], one.message]));
      state.refused = asked(sent);
      page.changed();
      // The first of them, once it is drawn.
      requestAnimationFrame(() => requestAnimationFrame(() => document.getElementById(`settings-${Object.keys(state.errors)[0]}`)?.focus()));
    }
  }

  const labelled = (name, control, more = {}) =>
    field(`settings-${name}`, t(`settings.${name}`), control, { hint: more.hint, error: errorOf(name) });

  function render(mailbox) {
    if (!state.form || (!Object.keys(changes()).length && !page.isBusy(`settings ${id}`))) take(mailbox);
    const mine = mayChange(page.me, mailbox);
    const shared = mailbox.kind === "shared";
    const isOwner = mailbox.owner_user_id === page.me.user_id;
    const may = (name) => mine && (shared ? true : !NOT_SHARED.has(name) && (isOwner || !OWNERS_OWN.has(name)));
    const isChanged = Object.keys(changes()).length > 0;
    return [
      !mine && h("p", { class: "muted" }, t("settings.notYours")),
      h("form", { class: "stack", novalidate: true, onsubmit: (event) => (event.preventDefault(), isChanged && page.run(`settings ${id}`, save)) },
        naming(mine),
        seeing(mailbox, shared, may),
        keeping(mine),
        mine && h("div", { class: isChanged ? "actions save changed" : "actions save" },
          h("button", { type: "submit", class: "primary", disabled: !isChanged || page.isBusy(`settings ${id}`) }, t("common.save")),
          isChanged && h("button", { type: "button", class: "quiet", onclick: () => (take(mailbox), (state.errors = {}), page.changed()) }, t("settings.discard")))),
      mailbox.status !== "disconnected" && names.render(mailbox, mine),
      readsMail(page.me, mailbox) && signed.render(),
      mine && ends(mailbox),
    ];
  }

  const naming = (mine) =>
    h("fieldset", { class: "card", disabled: !mine }, h("legend", { class: "visually-hidden" }, t("settings.naming")), h("h2", {}, t("settings.naming")),
      h("div", { class: "fields" },
        labelled("display_name", input(page, state.form, "display_name", { maxlength: "200", autocomplete: "off" }), { hint: t("settings.hint.display_name") }),
        labelled("reply_to", input(page, state.form, "reply_to", { type: "email", autocomplete: "off" }), { hint: t("settings.hint.reply_to") }),
        labelled("purpose", select(page, state.form, "purpose", PURPOSES.map((one) => [one, t(`mailboxes.purpose.${one}`)]))),
        mine && labelled("recovery_note", input(page, state.form, "recovery_note", { maxlength: "1000", autocomplete: "off" }), { hint: t("settings.hint.recovery_note") })));

  const seeing = (mailbox, shared, may) =>
    h("section", { class: "card" }, h("h2", {}, t("settings.seeing")),
      h("p", { class: "muted" }, shared ? t("settings.seeingShared") : t("settings.seeingPersonal")),
      h("div", { class: "fields" },
        shared && labelled("granted_to", select(page, state.form, "readers", ["everyone", "some"].map((one) => [one, t(`settings.readers.${one}`)]), { disabled: !may("granted_to") })),
        shared && state.form.readers === "some" &&
          field("settings-users", t("settings.users"), input(page, state.form, "users", { disabled: !may("granted_to"), autocomplete: "off" }), { hint: t("settings.hint.users") }),
        labelled("visibility", select(page, state.form, "visibility", LEVELS.map((one) => [one, t(`mailbox.visibility.${one}`)]), { disabled: !may("visibility") }), { hint: t("settings.hint.visibility") }),
        labelled("owner_user_id", input(page, state.form, "owner_user_id", { disabled: !may("owner_user_id"), autocomplete: "off" }),
          { hint: mailbox.kind === "personal" && may("owner_user_id") ? t("settings.hint.owner_user_id") : null })),
      shared && state.form.readers !== formOf(mailbox).readers && state.form.readers === "everyone" && h("p", { role: "status" }, t("settings.opensToAll")));

  const keeping = (mine) =>
    h("fieldset", { class: "card", disabled: !mine }, h("legend", { class: "visually-hidden" }, t("settings.keeping")), h("h2", {}, t("settings.keeping")),
      h("div", { class: "fields" },
        labelled("store", select(page, state.form, "store", ["all", "contacts_only"].map((one) => [one, t(`mailbox.stores.${one}`)])), { hint: t(`settings.hint.store.${state.form.store}`) }),
        labelled("sync_minutes", select(page, state.form, "sync_minutes", CADENCES.map((n) => [n, t("mailbox.cadence", { n })])), { hint: t("settings.hint.sync_minutes") })),
      checkbox(page, state.form, "create_contacts", t("settings.create_contacts")));

  const ends = (mailbox) =>
    h("section", { class: "card" }, h("h2", {}, t("settings.ends")),
      mailbox.status !== "disconnected" && h("div", { class: "row between" }, h("p", { class: "grow" }, t("settings.disconnectText")),
        h("button", { type: "button", class: "danger", onclick: () => leave.disconnect(mailbox) }, t("mailbox.disconnect"))),
      h("div", { class: "row between" }, h("p", { class: "grow" }, t("settings.eraseText")),
        h("button", { type: "button", class: "danger", onclick: () => leave.erase(mailbox) }, t("mailbox.erase"))));

  return { render, rest() {}, close: names.close };
}
