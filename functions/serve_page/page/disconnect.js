// Disconnecting a mailbox: what that touches, before anybody says yes.

import { api, quote } from "./api.js";
import { h } from "./dom.js";
import { nameOf, named } from "./mailbox-words.js";
import { act, dialog, loading, problemBox, refusal, retryButton } from "./parts.js";
import { t } from "./texts.js";

/** A dialogue: `open(mailbox)`, `render()`; `done()` is called once it is disconnected. */
export function disconnectDialog(page, done) {
  const refused = refusal(page);
  let mailbox = null;
  let touched = null;
  let problem = null;

  async function open(chosen) {
    mailbox = chosen;
    touched = null;
    problem = null;
    refused.clear();
    page.changed();
    try {
      const answer = await api.get(`/v1/mailboxes/${quote(chosen.id)}/disconnection`);
      if (mailbox === chosen) touched = answer;
    } catch (error) {
      if (mailbox === chosen) problem = error;
    }
    page.changed();
  }

  function close() {
    mailbox = null;
    page.changed();
  }

  const disconnect = () => refused.by(async () => {
    // Who closes the dialogue does not call it off.
    const asked = mailbox;
    await api.delete(`/v1/mailboxes/${quote(asked.id)}`);
    page.say(t("disconnect.done", { name: nameOf(asked) }));
    if (mailbox === asked) close();
    done();
  });

  function render() {
    if (!mailbox) return null;
    return dialog({
      title: t("disconnect.title", { name: nameOf(mailbox) }), close,
      actions: [
        h("button", { type: "button", class: "quiet", onclick: close }, t("common.cancel")),
        act(page, `disconnect ${mailbox.id}`, t("disconnect.confirm"), disconnect, { kind: "danger primary", disabled: !touched }),
      ],
    },
    h("p", {}, mailbox.provider === "imap" ? t("disconnect.text.login") : t("disconnect.text.grant", { provider: named("mailboxes.provider", mailbox.provider) })),
    problem ? problemBox(problem, retryButton(t("common.retry"), () => open(mailbox))) : touched ? touches(touched) : loading(),
    h("p", { class: "muted" }, t("disconnect.again")),
    refused.render());
  }

  return { open, render };
}

function touches({ primary_of: primaryOf, open_backfills: imports, queued_sends: queued, sent_lately_by: senders, more_sends: isMore }) {
  const said = [
    primaryOf.length > 0 && t("disconnect.primaryOf", { n: primaryOf.length, users: primaryOf.join(", ") }),
    imports > 0 && t("disconnect.imports", { n: imports }),
    queued > 0 && t("disconnect.queued", { n: queued }),
    senders.length > 0 && t("disconnect.senders", { n: senders.length, users: senders.join(", ") }),
    isMore && t("disconnect.more"),
  ].filter(Boolean);
  return said.length ? h("ul", { class: "points" }, said.map((text) => h("li", {}, text))) : h("p", {}, t("disconnect.nothing"));
}
