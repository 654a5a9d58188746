// Erasing a mailbox's mail: typed confirmation, then how far it is, then the receipt.

import { api, quote } from "./api.js";
import { h } from "./dom.js";
import { watch } from "./live.js";
import { nameOf } from "./mailbox-words.js";
import { badge, copyable, dialog, facts, field, heading, input, link, loading, problemBox, progress, refusal, retryButton } from "./parts.js";
import { to } from "./router.js";
import { pageUrl } from "./session.js";
import { formatDay, formatInstant, formatNumber, formatTime, t, wordOf } from "./texts.js";

const OFTEN = 5_000;
const SELDOM = 30_000;

/** A dialogue: `open(mailbox)`, `render()`; `begun(erasure)` is called once it is asked for. */
export function eraseDialog(page, begun) {
  const refused = refusal(page);
  const state = { typed: "" };
  let mailbox = null;

  function close() {
    mailbox = null;
    page.changed();
  }

  const isConfirmed = () => state.typed.trim().toLowerCase() === mailbox.address.toLowerCase();
  const erase = () => refused.by(async () => {
    const erasure = await api.post("/v1/erasures", { mailbox_id: mailbox.id, confirm: [state.typed.trim()] });
    close();
    begun(erasure);
  });

  function render() {
    if (!mailbox) return null;
    return dialog({
      title: t("erase.title", { name: nameOf(mailbox) }), close,
      submit: () => isConfirmed() && page.run(`erase ${mailbox.id}`, erase),
      actions: [
        h("button", { type: "button", class: "quiet", onclick: close }, t("common.cancel")),
        h("button", { type: "submit", class: "danger primary", disabled: !isConfirmed() || page.isBusy(`erase ${mailbox.id}`) }, t("erase.confirm")),
      ],
    },
    h("p", {}, t("erase.text")),
    h("ul", { class: "points" }, ["gone", "others", "provider", "wait"].map((name) => h("li", {}, t(`erase.point.${name}`)))),
    field("erase-address", t("erase.type", { address: mailbox.address }), input(page, state, "typed", { autocomplete: "off", spellcheck: "false" })),
    refused.render());
  }

  return {
    open(chosen) {
      mailbox = chosen;
      state.typed = "";
      refused.clear();
      page.changed();
    },
    render,
  };
}

/** An erasure, live until it is done; the mailbox itself is not there any more. */
export function open(page, place) {
  const erasureId = place.path[1];
  let erasure = null;
  let problem = null;

  const live = watch(() => api.get(`/v1/erasures/${quote(erasureId)}`), {
    show(found) {
      erasure = found;
      problem = null;
      page.changed();
    },
    failed(error) {
      problem = error;
      page.changed();
    },
    pause: (found) => (found.state === "done" ? null : isBegun(found) ? OFTEN : SELDOM),
  });

  function render() {
    const title = heading(t("erase.viewTitle"));
    if (!erasure) return [title, problem ? problemBox(problem, retryButton(t("common.retry"), live.again)) : loading()];
    const isDone = erasure.state === "done";
    const counts = Object.entries(erasure.erased).filter(([, n]) => n > 0);
    return [
      title,
      problem && problemBox(problem),
      h("section", { class: "card" },
        h("div", { class: "row", role: "status" }, badge(t(`erase.state.${stateOf(erasure)}`), isDone ? "good" : "busy")),
        h("p", {}, t(`erase.about.${stateOf(erasure)}`, { at: formatTime(erasure.starts_at), done: erasure.done_at && formatInstant(erasure.done_at) })),
        !isDone && progress(null, t("erase.viewTitle")),
        counts.length > 0 && [h("h2", {}, t(isDone ? "erase.counted" : "erase.counts")), facts(counts.map(([name, n]) => [wordOf("erase.count", name), formatNumber(n)]))],
        isDone && erasure.backups_until && h("p", { class: "muted" }, t("erase.backups", { until: formatDay(erasure.backups_until) }))),
      h("section", { class: "card" }, h("h2", {}, t("erase.receipt")), h("p", { class: "muted" }, t("erase.receiptText")), copyable(page, pageUrl + to("erasures", erasure.id)),
        facts([[t("erase.askedBy"), erasure.requested_by], [t("erase.askedAt"), formatInstant(erasure.requested_at)]])),
      h("div", { class: "actions" }, link("#/mailboxes", t("mailbox.allMailboxes"), { kind: "button" })),
    ];
  }

  return { title: () => t("erase.viewTitle"), render, close: live.stop };
}

const isBegun = (erasure) => Date.parse(erasure.starts_at) <= Date.now();
const stateOf = (erasure) => (erasure.state === "done" ? "done" : isBegun(erasure) ? "running" : "waiting");
