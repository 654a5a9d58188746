// The first step of connecting: the address, from which the rest follows.

import { api } from "./api.js";
import { h } from "./dom.js";
import { field, heading, problemBox } from "./parts.js";
import { t } from "./texts.js";

/** Presets whose accounts sign in at their provider, and with whom. */
const SIGN_INS = { gmail: "gmail", microsoft365: "outlook", outlook: "outlook" };
const DEFAULT_PORTS = { imap: { tls: 993, starttls: 143, none: 143 }, smtp: { tls: 465, starttls: 587, none: 587 } };

export const isSignIn = (provider) => provider === "gmail" || provider === "outlook";

/** Where an account of this preset signs in, or null where it has a password. */
export const signInOf = (preset) => SIGN_INS[preset?.id] ?? null;

/** The port that goes with a security setting (RFC 8314). */
export const portOf = (side, security) => DEFAULT_PORTS[side][security] ?? "";

export function addressStep(flow) {
  const { page, draft } = flow;
  const isBusy = page.isBusy("find");
  const typed = (event) => {
    draft.address = event.target.value;
    delete flow.errors.address;
    page.changed();
  };
  return [
    heading(t("connect.title")),
    h("p", { class: "muted" }, t("connect.titleText")),
    page.settings.note && h("p", { class: "hint" }, page.settings.note),
    h("form", { class: "card", novalidate: true, onsubmit: (event) => (event.preventDefault(), page.run("find", () => find(flow))) },
      field("address", t("connect.address"),
        h("input", { type: "email", name: "address", autocomplete: "email", value: draft.address, placeholder: t("connect.addressExample"), oninput: typed }),
        { error: flow.errors.address }),
      flow.problem && !flow.errors.address && problemBox(flow.problem),
      h("button", { type: "submit", class: "primary", disabled: isBusy, "aria-busy": isBusy ? "true" : null }, t("connect.continue")),
      h("p", { class: "divider" }, h("span", {}, t("connect.or"))),
      signInButtons(flow)),
  ];
}

/** A button for each provider with a sign-in of its own; `first` is the one to press. */
export function signInButtons(flow, providers = ["gmail", "outlook"], first = null) {
  const choose = (provider) => {
    Object.assign(flow.draft, { provider, again: null });
    flow.forget();
    flow.step("mailbox");
  };
  return h("div", { class: "sign-ins" }, providers.map((provider) =>
    h("button", { type: "button", class: provider === first ? "primary" : "", onclick: () => choose(provider) },
      t("connect.continueWith", { name: t(`connect.at.${provider}`) }))));
}

async function find(flow) {
  const { draft } = flow;
  draft.address = draft.address.trim();
  flow.problem = null;
  if (!/^[^@\s]+@[^@\s]+$/.test(draft.address)) {
    flow.errors.address = t("connect.addressWrong");
    document.getElementById("address").focus();
    return;
  }
  try {
    if (draft.preset?.address !== draft.address) fill(flow, await api.get("/v1/presets", { address: draft.address }));
    flow.step("login");
  } catch (problem) {
    flow.refuse(problem);
  }
}

/** Fill in what goes with an address: what is known of its provider, or what is most often right. */
function fill(flow, preset) {
  const { draft } = flow;
  const domain = draft.address.split("@").at(-1).toLowerCase();
  const usual = (side, security) => ({ host: `${side}.${domain}`, port: portOf(side, security), security, username: draft.address });
  draft.preset = { ...preset, address: draft.address };
  draft.imap = preset.imap ?? usual("imap", "tls");
  draft.smtp = preset.smtp ?? usual("smtp", "starttls");
  draft.apart = false;
  draft.untrusted = false;
  draft.withPassword = false;
  flow.secrets.imap = flow.secrets.smtp = "";
  flow.forget();
}
