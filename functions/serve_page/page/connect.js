// Connecting a mailbox, and connecting one again: which step we are at, what leaves this page for a provider, what comes back.
//
// The step stands in the address, so that the browser's own way back works. What is chosen outlasts a sign-in elsewhere in this
// tab's sessionStorage; a password is kept in memory alone, and asked again where the page was loaded anew.

import { api } from "./api.js";
import { addressStep, isSignIn } from "./connect-address.js";
import { historyStep, mailboxStep, newDraft, stepOfField, wishes } from "./connect-choices.js";
import { connectedView } from "./connect-done.js";
import { loginStep, servers } from "./connect-login.js";
import { outcomeView } from "./connect-outcome.js";
import { openReconnect } from "./connect-again.js";
import { h } from "./dom.js";
import { heading, loading } from "./parts.js";
import { replace, to } from "./router.js";
import { pageUrl, store } from "./session.js";
import { t } from "./texts.js";

const KEPT = "mailroom.connect";
const placeOf = (step) => to("connect", step === "address" ? {} : { step });
const STEPS = { address: addressStep, login: loginStep, mailbox: mailboxStep, history: historyStep };

export function open(page, place) {
  const flow = {
    page,
    draft: { ...newDraft(), ...JSON.parse(sessionStorage.getItem(KEPT) ?? "{}") },
    secrets: { imap: "", smtp: "" },
    /** The verdicts of the last test: `{imap, smtp, warnings}`. */
    test: null,
    /** What is wrong by the API's name of the field, and what is wrong besides. */
    errors: {},
    problem: null,
    submit: { text: t("connect.test"), work: test },
    step,
    refuse,
    signIn,
    forget() {
      Object.assign(flow, { test: null, errors: {}, problem: null });
    },
  };
  let at = null;
  let part = null;
  let outcome = null;
  let isFinishing = false;
  let waitsFor = null;

  const keep = () => store(KEPT, flow.draft);
  window.addEventListener("pagehide", keep);
  arrive(place);

  function arrive({ query }) {
    keep();
    part?.close?.();
    part = null;
    outcome = waitsFor = null;
    if (query.connected) part = connectedView(page, query);
    else if (query.mailbox) part = openReconnect(page, query.mailbox, signIn);
    else {
      if (isSignIn(query.provider)) Object.assign(flow.draft, { provider: query.provider, again: null });
      const wanted = query.step ?? (isSignIn(query.provider) ? "mailbox" : "address");
      at = possible(wanted);
      // The address has to say where we are: to a step it says already, nobody comes.
      if (at !== wanted) history.replaceState(null, "", placeOf(at));
      if (at === "login") Object.assign(flow.draft, { provider: "imap", again: null });
    }
  }

  /** The step that was asked for, or the first one that has to come before it. */
  function possible(wanted) {
    if (!Object.hasOwn(STEPS, wanted) || wanted === "address") return "address";
    if (wanted === "login") return flow.draft.address && flow.draft.preset ? "login" : "address";
    if (isSignIn(flow.draft.provider)) return wanted;
    return flow.test?.imap.ok && flow.test.smtp.ok ? wanted : possible("login");
  }

  function step(name) {
    flow.problem = null;
    location.hash = placeOf(name);
  }

  async function test() {
    try {
      flow.forget();
      flow.test = await api.post("/v1/mailboxes/test", servers(flow));
      flow.draft.folders = null;
      if (flow.test.imap.ok && flow.test.smtp.ok) step("mailbox");
    } catch (problem) {
      refuse(problem);
    }
  }

  /** Go on from the last step: connect it here, or sign in at its provider. */
  flow.finish = async () => {
    if (isSignIn(flow.draft.provider)) return signIn({ provider: flow.draft.provider });
    try {
      flow.errors = {};
      const made = await api.post("/v1/mailboxes", { address: flow.draft.address, ...servers(flow), ...wishes(flow.draft, page.me) });
      finished(made.id);
    } catch (problem) {
      refuse(problem);
    }
  };

  /** Put what the API refused where it belongs: beside a field, beside a server, or above the step. */
  function refuse(problem) {
    if (!problem.code) throw problem;
    if (problem.code === "connection_test_failed") {
      flow.test = { warnings: [], ...problem.body };
      return step("login");
    }
    flow.errors = Object.fromEntries(problem.errors.map((one) => [one.field, one.message]));
    const where = problem.errors.map(({ field }) => stepOfField(field)).find(Boolean);
    if (where && where !== at) step(where);
    flow.problem = problem;
  }

  /** Leave for a provider's sign-in: from here, or in a window of its own where the page is a part of another one. */
  async function signIn({ provider, again = null, isOther = false }) {
    Object.assign(flow.draft, { provider, again });
    const chosen = again ? { mailbox_id: again } : { ...wishes(flow.draft, page.me), ...(flow.draft.address && !isOther ? { address: flow.draft.address } : {}) };
    // A window opens only at the click itself, which is over once an answer is here.
    const beside = window.top !== window ? window.open("about:blank", "mailroom-provider", "popup,width=560,height=720") : null;
    try {
      const begun = await api.post("/v1/mailboxes/authorize", { provider, return_url: pageUrl, ...chosen });
      keep();
      if (window.top === window) return location.assign(begun.authorize_url);
      beside?.location.replace(begun.authorize_url);
      waitsFor = { provider, url: begun.authorize_url };
    } catch (problem) {
      beside?.close();
      if (!problem.code) throw problem;
      if (problem.errors.length) return refuse(problem);
      outcome = outcomeOf(problem, provider);
    }
  }

  /** A provider sent the browser back. Whether it is connected is read from the API: anybody can make such an address. */
  async function returned({ query, hash }) {
    const { mailroom_outcome: code, mailroom_provider: provider } = query;
    if (code === "connected") return finished(query.mailbox_id);
    if (code !== "confirm") {
      outcome = { code, provider, requestId: query.mailroom_request_id, adminUrl: query.mailroom_admin_consent_url };
      return page.changed();
    }
    isFinishing = true;
    page.changed();
    try {
      const { state, code: given, iss } = hash;
      const made = await api.post("/v1/mailboxes/authorize/complete", { provider: hash.provider, state, code: given, ...(iss ? { iss } : {}) });
      finished(made.id);
    } catch (problem) {
      if (!problem.code) throw problem;
      outcome = outcomeOf(problem, hash.provider);
    } finally {
      isFinishing = false;
      page.changed();
    }
  }

  function finished(mailboxId) {
    const { draft } = flow;
    const again = Boolean(draft.again);
    const asks = !again && draft.history === "ask";
    flow.draft = newDraft();
    flow.secrets = { imap: "", smtp: "" };
    flow.forget();
    replace("connect", { connected: mailboxId, again: again ? "yes" : null, show: asks ? "preview" : null });
  }

  function render() {
    if (isFinishing) return [heading(t("connect.finishing")), loading()];
    if (waitsFor) return waiting();
    if (outcome) return outcomeView(flow, outcome, (next) => ((outcome = null), next(), page.changed()));
    if (part) return part.render();
    return h("div", { class: "narrow", key: at, ref: toTitle }, STEPS[at](flow));
  }

  function waiting() {
    const name = t(`connect.at.${waitsFor.provider}`);
    const show = () => window.open(waitsFor.url, "mailroom-provider", "popup,width=560,height=720");
    return h("div", { class: "narrow" }, heading(t("connect.waiting", { name })), h("p", {}, t("connect.waitingText", { name })),
      h("div", { class: "actions" },
        h("button", { type: "button", class: "primary", onclick: show }, t("connect.openWindow")),
        h("button", { type: "button", onclick: () => ((waitsFor = null), page.changed()) }, t("common.back"))));
  }

  return {
    title: () => part?.title() ?? t("connect.title"),
    render,
    arrive,
    returned,
    close() {
      keep();
      part?.close?.();
      window.removeEventListener("pagehide", keep);
    },
  };
}

/** Who cannot see that the step is another one hears its title. */
const toTitle = (element) => {
  element.querySelector("h1")?.focus({ preventScroll: true });
  window.scrollTo(0, 0);
};

const outcomeOf = (problem, provider) => ({
  code: problem.code,
  provider,
  message: problem.message,
  fix: problem.fix,
  requestId: problem.requestId,
  adminUrl: problem.body.admin_consent_url,
});
