// Which folders of a mailbox are synced.

import { api, quote } from "./api.js";
import { h } from "./dom.js";
import { mayChange, named } from "./mailbox-words.js";
import { act, loading, problemBox, retryButton } from "./parts.js";
import { hasText, t } from "./texts.js";
import { typed } from "./typed.js";

const ORDER = ["inbox", "sent", "archive", "other", "drafts", "trash", "spam", "all", "flagged"];
const NOT_BY_DEFAULT = new Set(["drafts", "trash", "spam", "all", "flagged"]);

export function foldersPart(page, id, { reload }) {
  let folders = null;
  let problem = null;
  /** What somebody chose and has not saved, as `draft`: `isDefault`, or the ids `on`. */
  const state = typed(`folders ${id}`, () => ({ draft: null }));

  async function load() {
    try {
      const { items } = await api.get(`/v1/mailboxes/${quote(id)}/folders`);
      folders = items.filter((one) => one.selectable)
        .sort((one, other) => ORDER.indexOf(one.role) - ORDER.indexOf(other.role) || one.name.localeCompare(other.name));
      problem = null;
    } catch (error) {
      problem = error;
    }
    page.changed();
  }

  async function save(wanted) {
    const changed = await api.patch(`/v1/mailboxes/${quote(id)}`, { active_folders: wanted.isDefault ? null : [...wanted.on] });
    state.draft = null;
    reload(changed);
    await load();
    page.say(t("folders.saved"));
  }

  function render(mailbox) {
    if (!folders) return problem ? problemBox(problem, retryButton(t("common.retry"), load)) : loading();
    const kept = { isDefault: mailbox.active_folders === null, on: new Set(folders.filter((one) => one.active).map((one) => one.id)) };
    const wanted = state.draft ?? kept;
    const mine = mayChange(page.me, mailbox);
    const change = (next) => ((state.draft = next), page.changed());
    const on = wanted.isDefault ? byDefault() : wanted.on;
    const added = folders.filter((one) => on.has(one.id) && !one.active);
    const dropped = folders.filter((one) => !on.has(one.id) && one.active);
    const isEmpty = !wanted.isDefault && !on.size;
    const isChanged = state.draft !== null && (wanted.isDefault !== kept.isDefault || added.length + dropped.length > 0);
    return h("section", { class: "card" },
      h("h2", {}, t("folders.title")),
      h("p", { class: "muted" }, mine ? t("folders.intro") : t("folders.notYours")),
      h("fieldset", { disabled: !mine, class: "stack tight" }, h("legend", { class: "visually-hidden" }, t("folders.title")),
        choice("all", wanted.isDefault, () => change({ isDefault: true, on: wanted.on })),
        choice("some", !wanted.isDefault, () => change({ isDefault: false, on: new Set(on) }))),
      h("fieldset", { class: "folders", disabled: !mine || wanted.isDefault }, h("legend", { class: "visually-hidden" }, t("folders.which")),
        folders.map((one) => folder(one, on, (isOn) => {
          const chosen = new Set(on);
          if (isOn) chosen.add(one.id);
          else chosen.delete(one.id);
          change({ isDefault: false, on: chosen });
        }))),
      h("div", { role: "status", class: "stack tight" },
        isChanged && added.length > 0 && h("p", {}, t("folders.added", { n: added.length })),
        isChanged && dropped.length > 0 && h("p", {}, t("folders.dropped", { n: dropped.length })),
        isEmpty && h("p", { class: "error" }, t("folders.none"))),
      mine && h("div", { class: "actions" },
        act(page, `folders ${id}`, t("common.save"), () => save(wanted), { kind: "primary", disabled: !isChanged || isEmpty }),
        isChanged && h("button", { type: "button", class: "quiet", onclick: () => change(null) }, t("common.cancel"))));
  }

  const byDefault = () => new Set(folders.filter((one) => !NOT_BY_DEFAULT.has(one.role)).map((one) => one.id));

  load();
  return { render, rest() {} };
}

const choice = (name, checked, onchange) =>
  h("label", { class: "check" }, h("input", { type: "radio", name: "folders", checked, onchange }),
    h("span", {}, t(`folders.${name}`), h("small", { class: "block" }, t(`folders.${name}Text`))));

/** Its name; what it is for as well, where that does not say it. */
function nameOf({ name, role }) {
  const known = named("folders.role", role);
  return role === "other" || name.toLowerCase() === known.toLowerCase() ? name : `${name} (${known})`;
}

const folder = (one, on, change) =>
  h("label", { class: "check", key: one.id },
    h("input", { type: "checkbox", checked: on.has(one.id), onchange: (event) => change(event.target.checked) }),
    h("span", {}, nameOf(one),
      hasText(`folders.about.${one.role}`) && h("small", { class: "block" }, t(`folders.about.${one.role}`))));
