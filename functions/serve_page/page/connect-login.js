// The step of a password: what is known of the provider, one password for both sides unless told otherwise, and what the test says.

import { portOf, signInButtons, signInOf } from "./connect-address.js";
import { h } from "./dom.js";
import { badge, checkbox, field, heading, icon, link, problemBox } from "./parts.js";
import { t } from "./texts.js";

const SIDES = ["imap", "smtp"];
const SECURITIES = ["tls", "starttls", "none"];
/** The field a verdict is about, so that it can stand beside it. */
const FIELD_OF = {
  login_rejected: "password", app_password_required: "password",
  host_not_found: "host", host_not_allowed: "host", connection_failed: "host", connection_timed_out: "host", tls_wrong_name: "host",
  connection_dropped: "port", port_not_allowed: "port", protocol_violation: "port",
  tls_failed: "security", tls_not_offered: "security", encryption_required: "security",
};
const FOLDED = /\.(port|security|username|allow_untrusted_certificate)$/;

/** Both servers' logins as the API takes them. */
export function servers({ draft, secrets }) {
  const login = (side) => ({ ...draft[side], port: Number(draft[side].port), password: secrets[draft.apart ? side : "imap"] });
  return { imap: login("imap"), smtp: login("smtp"), ...(draft.untrusted ? { allow_untrusted_certificate: true } : {}) };
}

export function loginStep(flow) {
  const { draft } = flow;
  const provider = signInOf(draft.preset);
  return [
    backTo(flow, "address", draft.address),
    provider && !draft.withPassword ? signInOffer(flow, provider) : [
      heading(t("connect.loginTitle", { address: draft.address })),
      found(flow),
      loginForm(flow),
    ],
  ];
}

export const backTo = (flow, step, text) =>
  h("button", { type: "button", class: "link back", onclick: () => flow.step(step) }, icon("back"), h("span", {}, t("connect.backTo", { text })));

function signInOffer(flow, provider) {
  const { draft } = flow;
  const name = t(`connect.at.${provider}`);
  const instead = () => {
    draft.withPassword = true;
    flow.page.changed();
  };
  return [
    heading(t("connect.signInTitle", { name })),
    h("div", { class: "card" },
      h("p", {}, t("connect.signInText", { preset: draft.preset.name, name })),
      signInButtons(flow, [provider], provider),
      !draft.preset.oauth_only && h("button", { type: "button", class: "link", onclick: instead }, t("connect.passwordInstead"))),
  ];
}

/** What is known of the address's provider, and what to do there first. */
function found(flow) {
  const { preset } = flow.draft;
  if (!preset.found) {
    return h("div", { class: "card found" },
      h("p", {}, t("connect.unknown", { domain: flow.draft.address.split("@").at(-1) })),
      signInButtons(flow));
  }
  return h("div", { class: "card found" },
    h("p", { class: "row" }, icon("check"), h("strong", {}, t("connect.known", { name: preset.name }))),
    presetHelp(preset));
}

/** Which password a provider wants, where one is made, and what else has to be done there. */
export function presetHelp(preset) {
  if (!preset?.found) return null;
  const page = appPasswordPage(preset);
  return [
    asksAppPassword(preset) && h("p", {}, t(`connect.appPassword.${preset.app_password}`, { name: preset.name })),
    page && h("p", {}, h("a", { href: page, target: "_blank", rel: "noopener noreferrer" }, t("connect.appPasswordPage", { name: preset.name }))),
    preset.notes.length > 0 && h("ul", { class: "notes" }, preset.notes.map((note) => h("li", {}, note))),
  ];
}

const asksAppPassword = (preset) => preset?.app_password === "always" || preset?.app_password === "with_two_factor";

/** Where an app password is made; a link out of this page is https or none. */
function appPasswordPage(preset) {
  if (!asksAppPassword(preset) || !URL.canParse(preset.app_password_page ?? "")) return null;
  return new URL(preset.app_password_page).protocol === "https:" ? preset.app_password_page : null;
}

/** The form of a login; `flow.submit` is `{text, work}`. */
export function loginForm(flow) {
  const { page, draft, preset = draft.preset } = flow;
  const errors = { ...verdictErrors(flow), ...flow.errors };
  const isBusy = page.isBusy("test");
  const isManual = !preset?.found;
  const submit = async (event) => {
    event.preventDefault();
    if (!flow.secrets.imap || (draft.apart && !flow.secrets.smtp)) {
      const side = flow.secrets.imap ? "smtp" : "imap";
      flow.errors[`${side}.password`] = t("connect.passwordMissing");
      page.changed();
    } else await page.run("test", flow.submit.work);
    requestAnimationFrame(() => requestAnimationFrame(toWrong));
  };
  // What is wrong has to be seen, and what is typed into stays open.
  if (Object.keys(errors).some((name) => FOLDED.test(name) || (!isManual && name.endsWith(".host")))) draft.more = true;
  const asksForApp = preset?.app_password === "always";
  return h("form", { class: "card", novalidate: true, onsubmit: submit },
    isManual && SIDES.map((side) => hostField(flow, side, errors)),
    passwordField(flow, "imap", asksForApp ? t("connect.appPasswordLabel") : t(draft.apart ? "connect.imapPassword" : "connect.password"), errors,
      t("connect.passwordHint")),
    h("details", { open: Boolean(draft.more), ontoggle: (event) => (draft.more = event.target.open) },
      h("summary", {}, t(isManual ? "connect.moreSettings" : "connect.serverSettings")),
      h("div", { class: "stack folded" },
        SIDES.map((side) => sideFields(flow, side, errors, !isManual)),
        checkbox(page, draft, "apart", t("connect.apart")),
        draft.apart && passwordField(flow, "smtp", t("connect.smtpPassword"), errors),
        checkbox(page, draft, "untrusted", t("connect.untrusted")),
        errors["imap.allow_untrusted_certificate"] && h("p", { class: "error" }, errors["imap.allow_untrusted_certificate"]))),
    h("div", { role: "status", "aria-live": "polite" }, isBusy ? h("p", { class: "muted" }, t("connect.testing")) : verdicts(flow)),
    flow.problem && problemBox({ ...told(flow.problem), errors: elsewhere(flow.problem) },
      flow.problem.code === "wrong_mailbox" && link("#/connect", t("connect.asNew"), { kind: "button" })),
    h("button", { type: "submit", class: "primary", disabled: isBusy, "aria-busy": isBusy ? "true" : null }, flow.submit.text));
}

const told = ({ code, message, fix, requestId }) => ({ code, message, fix, requestId });
const elsewhere = (problem) => problem.errors.filter(({ field: name }) => !/^(imap|smtp)\./.test(name));

function toWrong() {
  const wrong = /** @type {HTMLElement | null} */ (document.querySelector("main form [aria-invalid='true']"));
  wrong?.focus();
}

function verdictErrors({ test, draft }) {
  const errors = {};
  for (const side of SIDES) {
    const name = test && !test[side].ok && FIELD_OF[test[side].code];
    if (!name) continue;
    const where = name === "password" && !draft.apart ? "imap" : side;
    errors[`${where}.${name}`] ??= test[side].message;
  }
  return errors;
}

function passwordField(flow, side, label, errors, hint = null) {
  const typed = (event) => {
    flow.secrets[side] = event.target.value;
    forgetError(flow, `${side}.password`);
  };
  // Not a login of this page: what a browser keeps for it would be the wrong one.
  const control = h("input", { type: "password", name: `${side}-password`, autocomplete: "off", value: flow.secrets[side], oninput: typed });
  return field(`${side}-password`, label, control, { hint, error: errors[`${side}.password`] });
}

/** What was wrong is no longer known to be once it was changed. */
function forgetError(flow, name) {
  delete flow.errors[name];
  flow.test = null;
  flow.problem = null;
  flow.page.changed();
}

function text(flow, side, name, label, errors, props = {}) {
  const typed = (event) => {
    flow.draft[side][name] = event.target.value;
    forgetError(flow, `${side}.${name}`);
  };
  const control = h("input", { name: `${side}-${name}`, value: String(flow.draft[side][name]), autocomplete: "off", autocapitalize: "none", spellcheck: "false", oninput: typed, ...props });
  return field(`${side}-${name}`, label, control, { error: errors[`${side}.${name}`] });
}

/** A host; one that is typed with its port is taken apart. */
function hostField(flow, side, errors) {
  const server = flow.draft[side];
  const takeApart = () => {
    const parts = /^(.+):(\d{1,5})$/.exec(server.host.trim());
    if (!parts) return;
    [, server.host, server.port] = parts;
    flow.page.changed();
  };
  return text(flow, side, "host", t(`connect.${side}Host`), errors, { onblur: takeApart, onchange: takeApart });
}

function sideFields(flow, side, errors, hasHost) {
  const server = flow.draft[side];
  const secured = (event) => {
    const usual = Number(server.port) === portOf(side, server.security);
    server.security = event.target.value;
    if (usual) server.port = portOf(side, server.security);
    forgetError(flow, `${side}.security`);
  };
  return h("fieldset", { class: "side" }, h("legend", {}, t(`connect.${side}`)), h("div", { class: "fields" },
    hasHost && hostField(flow, side, errors),
    text(flow, side, "port", t("connect.port"), errors, { inputmode: "numeric", maxlength: "5" }),
    field(`${side}-security`, t("connect.security"),
      h("select", { name: `${side}-security`, value: server.security, onchange: secured }, SECURITIES.map((one) => h("option", { value: one }, t(`connect.securities.${one}`)))),
      { error: errors[`${side}.security`] }),
    text(flow, side, "username", t("connect.username"), errors)));
}

/** What the test says of each side, and what to do. */
export function verdicts(flow) {
  const { test } = flow;
  if (!test) return null;
  return h("div", { class: "verdicts" },
    SIDES.map((side) => verdict(flow, side, test[side])),
    test.warnings.map((one) => h("div", { class: "trouble mild" }, icon("warning"), h("p", {}, one.message))));
}

function verdict(flow, side, one) {
  const folders = one.folders.filter((folder) => folder.selectable).length;
  return h("div", { class: "verdict" },
    h("p", { class: "row" }, h("strong", {}, t(`connect.${side}`)), one.ok ? badge(t("connect.works"), "good") : badge(t("connect.fails"), "bad")),
    one.ok && folders > 0 && h("p", { class: "muted" }, t("connect.folders", { n: folders })),
    one.message && h("p", {}, one.message),
    one.fix && h("p", {}, one.fix),
    one.code === "oauth_required" && signInButtons(flow, signInOf(flow.draft.preset) ? [signInOf(flow.draft.preset)] : undefined));
}
