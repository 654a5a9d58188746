// The steps of choosing: what the mailbox is for and who sees it, then how much of its history comes along.

import { isSignIn } from "./connect-address.js";
import { backTo, verdicts } from "./connect-login.js";
import { h } from "./dom.js";
import { checkbox, field, heading, input, problemBox, radios, select } from "./parts.js";
import { hasText, t } from "./texts.js";

export const PURPOSES = ["personal", "sales", "support", "billing", "other"];
export const VISIBILITIES = ["metadata", "subject", "full"];
const HISTORY = ["0", "7", "30", "90", "365", "ask"];
const FIRST = ["inbox", "sent", "archive"];
/** Never part of a first sync; drafts are, where somebody wants them. */
const NEVER_FIRST = ["trash", "spam"];
const NOT_BY_DEFAULT = [...NEVER_FIRST, "drafts"];
const STEP_OF = { address: "address", imap: "login", smtp: "login", display_name: "mailbox", purpose: "mailbox", kind: "mailbox", granted_to: "mailbox", visibility: "mailbox", backfill_days: "history", active_folders: "history" };

/** What is chosen before anything is: what is right for most. */
export const newDraft = () => ({
  provider: null, again: null, address: "", preset: null, withPassword: false, imap: null, smtp: null, apart: false, untrusted: false, more: false,
  display_name: "", purpose: "personal", kind: "personal", readers: "everyone", people: "", visibility: null,
  history: "30", folders: null, store: "all", create_contacts: false,
});

/** The step on which a field of the API stands. */
export const stepOfField = (name) => STEP_OF[name.split(".")[0]] ?? null;

/** What was chosen, as the API takes it. */
export function wishes(draft, me) {
  const isShared = me.is_admin && draft.kind === "shared";
  const chosen = {
    display_name: draft.display_name.trim(),
    purpose: draft.purpose,
    kind: isShared ? "shared" : "personal",
    backfill_days: draft.history === "ask" ? 0 : Number(draft.history),
    store: draft.store,
    create_contacts: draft.create_contacts,
    visibility: draft.visibility ?? usualVisibility(draft),
  };
  if (isShared) chosen.granted_to = draft.readers === "everyone" ? "everyone" : people(draft.people);
  if (draft.folders && !isSignIn(draft.provider)) chosen.active_folders = draft.folders;
  return chosen;
}

const people = (text) => [...new Set(text.split(/[\n,;]/).map((one) => one.trim()).filter(Boolean))];
const usualVisibility = (draft) => (draft.kind === "shared" ? "full" : "metadata");

export function mailboxStep(flow) {
  const { page, draft, errors } = flow;
  const isThere = isSignIn(draft.provider);
  const next = (event) => {
    event.preventDefault();
    if (draft.kind === "shared" && draft.readers === "people" && !people(draft.people).length) {
      errors.granted_to = t("connect.peopleMissing");
      page.changed();
      document.getElementById("people").focus();
    } else flow.step("history");
  };
  return [
    isThere ? backTo(flow, draft.preset && draft.address ? "login" : "address", t("connect.signInStep")) : backTo(flow, "login", t("connect.loginStep")),
    heading(t("connect.mailboxTitle")),
    isThere ? h("p", { class: "muted" }, t("connect.beforeSignIn", { name: t(`connect.at.${draft.provider}`) })) : verdicts(flow),
    h("form", { class: "card", novalidate: true, onsubmit: next },
      field("display_name", t("connect.name"), input(page, draft, "display_name", { autocomplete: "name", maxlength: "200" }), { hint: t("connect.nameHint"), error: errors.display_name }),
      field("purpose", t("connect.purpose"), select(page, draft, "purpose", PURPOSES.map((one) => [one, t(`connect.purposes.${one}`)]))),
      page.me.is_admin && radios(page, draft, "kind", t("connect.kind"), ["personal", "shared"].map((one) => [one, t(`connect.kinds.${one}`), t(`connect.kinds.${one}Text`)])),
      page.me.is_admin && draft.kind === "shared" && sharing(flow),
      field("visibility", t(`connect.visibility.${draft.kind}`), visibility(page, draft)),
      flow.problem && problemBox(flow.problem),
      h("button", { type: "submit", class: "primary" }, t("connect.continue"))),
  ];
}

/** How much others see; as is usual for its kind, until somebody chooses. */
function visibility(page, draft) {
  const shown = { visibility: draft.visibility ?? usualVisibility(draft) };
  return select(page, shown, "visibility", VISIBILITIES.map((one) => [one, t(`connect.levels.${one}`)]), { onchange: (event) => (draft.visibility = event.target.value) });
}

function sharing({ page, draft, errors }) {
  const typed = (event) => {
    draft.people = event.target.value;
    delete errors.granted_to;
    page.changed();
  };
  return h("div", { class: "stack tight", key: "sharing" },
    radios(page, draft, "readers", t("connect.readers"), ["everyone", "people"].map((one) => [one, t(`connect.reader.${one}`)])),
    draft.readers === "people" && field("people", t("connect.people"),
      h("textarea", { name: "people", rows: "3", value: draft.people, oninput: typed }), { hint: t("connect.peopleHint"), error: errors.granted_to }));
}

export function historyStep(flow) {
  const { page, draft, errors } = flow;
  const isThere = isSignIn(draft.provider);
  const isBusy = page.isBusy("connect");
  const finish = (event) => (event.preventDefault(), page.run("connect", flow.finish));
  const name = isThere && t(`connect.at.${draft.provider}`);
  return [
    backTo(flow, "mailbox", t("connect.mailboxStep")),
    heading(t("connect.historyTitle")),
    h("form", { class: "card", novalidate: true, onsubmit: finish },
      radios(page, draft, "history", t("connect.history"), HISTORY.map((one) => [one, t(`connect.histories.${one}`), hasText(`connect.historyNotes.${one}`) ? t(`connect.historyNotes.${one}`) : null])),
      h("p", { class: "hint" }, t("connect.historyHint")),
      !isThere && folders(flow),
      h("details", {}, h("summary", {}, t("connect.whichMail")), h("div", { class: "stack folded" },
        radios(page, draft, "store", t("connect.store"), ["all", "contacts_only"].map((one) => [one, t(`connect.stores.${one}`)])),
        checkbox(page, draft, "create_contacts", t("connect.createContacts")))),
      errors.active_folders && h("p", { class: "error" }, errors.active_folders),
      flow.problem && problemBox(flow.problem, flow.problem.code === "already_connected" && h("a", { class: "button", href: "#/mailboxes" }, t("connect.toMailboxes"))),
      isBusy && h("p", { class: "muted", role: "status" }, t(isThere ? "connect.leaving" : "connect.connecting", { name })),
      h("button", { type: "submit", class: "primary", disabled: isBusy, "aria-busy": isBusy ? "true" : null },
        isThere ? t("connect.leave", { name }) : t("connect.connect"))),
  ];
}

const placeOf = ({ role }) => (FIRST.includes(role) ? FIRST.indexOf(role) : FIRST.length);

function folders({ page, draft, test }) {
  const found = test.imap.folders.filter((one) => one.selectable && !NEVER_FIRST.includes(one.role))
    .sort((one, other) => placeOf(one) - placeOf(other));
  const usual = found.filter((one) => !NOT_BY_DEFAULT.includes(one.role)).map((one) => one.id);
  const chosen = draft.folders ?? usual;
  const choose = (id) => (event) => {
    const after = event.target.checked ? [...chosen, id] : chosen.filter((one) => one !== id);
    // None chosen, and folders made later are synced too.
    draft.folders = after.length === usual.length && usual.every((one) => after.includes(one)) ? null : after;
    page.changed();
  };
  const summary = draft.folders ? t("connect.foldersChosen", { n: chosen.length }) : t("connect.foldersUsual");
  return h("details", { class: "folders" }, h("summary", {}, summary),
    h("fieldset", { class: "folded" }, h("legend", { class: "visually-hidden" }, t("connect.foldersLegend")),
      found.map((one) => h("label", { class: "check", key: one.id },
        h("input", { type: "checkbox", checked: chosen.includes(one.id), onchange: choose(one.id), disabled: chosen.length === 1 && chosen[0] === one.id }),
        h("span", {}, one.name))),
      h("p", { class: "hint" }, t("connect.foldersHint"))));
}
