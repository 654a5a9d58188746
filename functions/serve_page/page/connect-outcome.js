// How a sign-in at a provider ended when it did not connect: what happened, and what helps, as buttons.

import { isSignIn } from "./connect-address.js";
import { h } from "./dom.js";
import { copyable, heading, link } from "./parts.js";
import { go } from "./router.js";
import { hasText, t } from "./texts.js";

/** What to offer first, and what besides. All else is tried again. */
const HELPS = {
  already_connected: ["mailboxes", "other"],
  wrong_mailbox: ["again", "fresh"],
  address_kept_out: ["mailboxes", "other"],
  account_not_supported: ["other", "again"],
  provider_api_disabled: ["other", "again"],
  admin_consent_required: ["again", "other"],
  access_blocked: ["again", "other"],
};

/** `outcome` is `{code, provider, message, fix, requestId, adminUrl}`; `leave(next)` goes on from here. */
export function outcomeView(flow, outcome, leave) {
  const { page, draft } = flow;
  const provider = isSignIn(outcome.provider) ? outcome.provider : draft.provider;
  const name = isSignIn(provider) ? t(`connect.at.${provider}`) : "";
  const known = hasText(`connect.outcomes.${outcome.code}.title`) ? outcome.code : "other";
  const text = known === "other" && outcome.message ? [outcome.message, outcome.fix].filter(Boolean).join(" ") : t(`connect.outcomes.${known}.text`, { name });
  const url = consentUrl(page, outcome.adminUrl);
  const sign = (more) => page.run("connect", () => flow.signIn({ provider, ...more }));
  const actions = {
    again: [t("connect.tryAgain"), () => sign({ again: draft.again })],
    other: [t("connect.otherAccount"), () => sign({ isOther: true })],
    fresh: [t("connect.asNew"), () => sign({ isOther: true })],
    mailboxes: [t("connect.toMailboxes"), () => leave(() => go("mailboxes"))],
  };
  const offered = (Object.hasOwn(HELPS, outcome.code ?? "") ? HELPS[outcome.code] : ["again"]).filter((one) => isSignIn(provider) || one === "mailboxes");
  return h("div", { class: "narrow", key: "outcome" },
    heading(t(`connect.outcomes.${known}.title`, { name })),
    h("div", { class: "card" },
      h("p", {}, text),
      url && h("p", {}, t("connect.adminLink")),
      url && copyable(page, url),
      h("div", { class: "actions" },
        offered.map((one, n) => h("button", { type: "button", class: n ? "" : "primary", disabled: page.isBusy("connect"), onclick: actions[one][1] }, actions[one][0])),
        !offered.length && link("#/connect", t("connect.tryAgain"), { kind: "primary" }),
        h("button", { type: "button", class: "quiet", onclick: () => leave(() => flow.step("address")) }, t("connect.otherWay"))),
      outcome.requestId && h("p", { class: "hint" }, t("connect.quote", { id: outcome.requestId }))));
}

/** A link an administrator is asked to open leads to the provider, whoever made the address we were called with. */
function consentUrl(page, url) {
  if (!url || !URL.canParse(url)) return null;
  return page.settings.consent_origins.includes(new URL(url).origin) ? url : null;
}
