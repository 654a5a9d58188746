// What is shown once a mailbox is connected: that it is, how its import goes, and where to go from here.

import { api, quote } from "./api.js";
import { h } from "./dom.js";
import { importsPart } from "./imports.js";
import { watch } from "./live.js";
import { act, badge, heading, icon, link, loading, problemBox, trouble } from "./parts.js";
import { t } from "./texts.js";

const OFTEN = 3000;

/** `query` is the place's: `connected`, the mailbox's id; `again`, where it was before; `show`, what was asked for first. */
export function connectedView(page, { connected: mailboxId, again, show }) {
  let mailbox = null;
  let refused = null;
  let imports = null;
  const live = watch(() => api.get(`/v1/mailboxes/${quote(mailboxId)}`), {
    show(answer) {
      mailbox = answer;
      refused = null;
      if (!again) imports ??= importsPart(page, mailboxId, { previews: show === "preview", isNew: true });
      page.changed();
    },
    failed(problem) {
      refused = problem;
      page.changed();
    },
    pause: ({ status, last_synced_at: at, latest_error: { inbound } }) => (status === "active" && !at && !inbound ? OFTEN : null),
  });

  function render() {
    const more = h("div", { class: "actions" },
      link(`#/mailboxes/${quote(mailboxId)}`, t("connect.openMailbox"), { kind: "primary" }),
      link("#/conversations", t("connect.toConversations"), { kind: "button" }),
      link("#/connect", t("connect.another"), { kind: "button quiet", drawing: "plus" }));
    if (!mailbox) {
      return refused ? [heading(t("connect.title")), problemBox(refused, act(page, "load", t("common.retry"), live.again), link("#/mailboxes", t("connect.toMailboxes"), { kind: "button" }))] : loading();
    }
    if (mailbox.status !== "active") {
      return h("div", { class: "narrow" }, heading(mailbox.address), h("p", {}, t("connect.notActive")), more);
    }
    return h("div", { class: "narrow" },
      heading(t(again ? "connect.connectedAgain" : "connect.connected")),
      h("div", { class: "card" },
        h("p", { class: "row" }, icon("check"), h("strong", {}, mailbox.address), badge(t("connect.active"), "good")),
        mailbox.latest_error.inbound ? trouble(mailbox.latest_error.inbound)
          : h("p", { class: "muted", role: "status" }, mailbox.last_synced_at ? t("connect.looked") : t("connect.looking")),
        more),
      imports?.render());
  }

  return {
    title: () => t(again ? "connect.connectedAgain" : "connect.connected"),
    render,
    close() {
      live.stop();
      imports?.close();
    },
  };
}
