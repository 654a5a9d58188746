// Connecting a mailbox again whose login ended: its settings and its history stay.

import { api, quote } from "./api.js";
import { isSignIn } from "./connect-address.js";
import { loginForm, presetHelp, servers } from "./connect-login.js";
import { h } from "./dom.js";
import { act, heading, link, loading, notice, problemBox, trouble } from "./parts.js";
import { replace } from "./router.js";
import { t } from "./texts.js";

/** The view of one mailbox to be connected again; `signIn({provider, again})` leaves for its provider. */
export function openReconnect(page, mailboxId, signIn) {
  const path = `/v1/mailboxes/${quote(mailboxId)}`;
  let mailbox = null;
  let refused = null;
  let isClosed = false;
  const flow = { page, draft: null, preset: null, secrets: { imap: "", smtp: "" }, test: null, errors: {}, problem: null, submit: { text: t("connect.testAgain"), work: reconnect } };
  load();

  async function load() {
    refused = null;
    try {
      mailbox = await api.get(path);
      if (mailbox.imap) await prefill();
    } catch (problem) {
      refused = problem;
    }
    if (!isClosed) page.changed();
  }

  async function prefill() {
    flow.draft = {
      address: mailbox.address, imap: { ...mailbox.imap }, smtp: { ...mailbox.smtp }, more: false,
      apart: false, untrusted: mailbox.allow_untrusted_certificate,
    };
    // What is known of its provider helps with the password, and the login works without it.
    flow.preset = await api.get("/v1/presets", { address: mailbox.address }).catch(() => null);
  }

  async function reconnect() {
    Object.assign(flow, { test: null, errors: {}, problem: null });
    try {
      await api.post(`${path}/reconnect`, servers(flow));
      flow.secrets = { imap: "", smtp: "" };
      replace("connect", { connected: mailboxId, again: "yes" });
    } catch (problem) {
      if (!problem.code) throw problem;
      flow.errors = Object.fromEntries(problem.errors.map((one) => [one.field, one.message]));
      if (problem.code === "connection_test_failed") flow.test = { warnings: [], ...problem.body };
      else flow.problem = problem;
    }
  }

  function render() {
    if (refused) return [heading(t("connect.againTitle")), problemBox(refused, act(page, "load", t("common.retry"), load))];
    if (!mailbox) return loading();
    const isThere = isSignIn(mailbox.provider);
    if (!isThere && !mailbox.imap) {
      return notice(t("connect.againTitle"), t("connect.notYours", { owner: mailbox.owner_user_id }), link(`#/mailboxes/${quote(mailboxId)}`, t("connect.openMailbox"), { kind: "button" }));
    }
    return h("div", { class: "narrow" },
      heading(t("connect.againOf", { address: mailbox.address })),
      mailbox.latest_error.inbound && trouble({ message: mailbox.latest_error.inbound.message, acts: null, fix: null }),
      h("p", { class: "muted" }, t("connect.againText")),
      isThere ? there() : [presetHelp(flow.preset), loginForm(flow)]);
  }

  function there() {
    const name = t(`connect.at.${mailbox.provider}`);
    return h("div", { class: "card" },
      h("p", {}, t("connect.againThere", { name, address: mailbox.address })),
      act(page, "connect", t("connect.continueWith", { name }), () => signIn({ provider: mailbox.provider, again: mailboxId }), { kind: "primary" }));
  }

  return { title: () => t("connect.againTitle"), render, close: () => (isClosed = true) };
}
