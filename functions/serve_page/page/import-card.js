// One import: how far it is, what it waits for, what became of every message it listed.

import { h } from "./dom.js";
import { badge, dialog, progress, trouble, when } from "./parts.js";
import { formatDuration, formatTime, hasText, t, wordOf } from "./texts.js";

export const OPEN = new Set(["planning", "running", "waiting", "paused"]);
const KINDS = { planning: "busy", running: "busy", waiting: "busy", paused: "", done: "good", cancelled: "", failed: "bad" };
const BY_ITSELF = new Set(["time", "provider"]);
const FATES = ["stored", "already_stored", "unreadable", "gone", "failed"];

/**
 * `wish` is what was asked for and is not there yet; `change(action)` asks for `pause`, `resume` or `cancel`, and `ask(whether)`
 * puts the question before the last of them. `level` is that of its heading.
 */
export function importCard(page, one, { wish, change, isAsked, ask, level }) {
  return h("article", { class: "card import", key: one.id, "aria-label": titleOf(one) },
    h("div", { class: "row between" }, h(level, {}, titleOf(one)), state(one, wish)),
    OPEN.has(one.state) ? underWay(one) : over(one),
    buttons(page, one, { wish, change, ask }),
    isAsked && cancelling(change, () => ask(false)));
}

export const titleOf = (one) => (one.kind === "contact_history" ? t("imports.contactHistory") : t("imports.importOf", { n: one.days }));
const skippedOf = (one) => Object.values(one.skipped).reduce((sum, number) => sum + number, 0);
const settledOf = (one) => FATES.reduce((sum, fate) => sum + one[fate], skippedOf(one));

function state(one, wish) {
  if (wish) return badge(t(`imports.wishes.${wish}`), "busy");
  return badge(wordOf("imports.states", one.state), KINDS[one.state]);
}

function underWay(one) {
  const isListing = one.state === "planning";
  const settled = settledOf(one);
  return [
    progress(isListing ? null : one.percent, t("imports.progress")),
    h("p", { class: "row between" },
      h("span", {}, !one.listed ? t(isListing ? "imports.listing" : "imports.notListed") : t("imports.of", { done: settled, listed: one.listed, percent: one.percent })),
      h("span", { class: "muted" }, left(one))),
    cause(one, { mild: true, note: one.waiting_until && t("imports.goesOn", { at: formatTime(one.waiting_until) }) }),
    one.state === "paused" && h("p", { class: "muted" }, t("imports.pausedText")),
  ];
}

/** What it waits for, or stopped with. Its fix says already where nobody has to act, or that a person resumes it. */
function cause({ message, acts, fix }, more = {}) {
  return message && trouble({ message, fix, acts: BY_ITSELF.has(acts) ? null : acts, ...more });
}

function left(one) {
  if (!one.eta) return one.state === "running" ? t("imports.noEta") : null;
  return t("imports.left", { duration: formatDuration(Math.max(1, (new Date(one.eta).getTime() - Date.now()) / 1000)) });
}

function over(one) {
  return [
    cause(one),
    h("p", {}, t("imports.summary", { stored: one.stored, n: one.listed }), " ", h("span", { class: "muted" }, when(one.ended_at ?? one.created_at))),
    one.listed > 0 && h("details", {}, h("summary", {}, t("imports.ledger")), ledger(one)),
  ];
}

/** What became of each message that was listed; the numbers add up. */
function ledger(one) {
  const rest = one.listed - settledOf(one);
  const rows = [
    ...FATES.map((fate) => [t(`imports.fates.${fate}`), one[fate]]),
    ...Object.entries(one.skipped).map(([reason, number]) => [hasText(`imports.skipped.${reason}`) ? t(`imports.skipped.${reason}`) : t("imports.skippedAs", { reason }), number]),
    [t("imports.notReached"), rest],
  ].filter(([, number]) => number > 0);
  return h("div", { class: "scroll" }, h("table", { class: "ledger" },
    h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("imports.fate")), h("th", { scope: "col", class: "number" }, t("imports.messages")))),
    h("tbody", {}, rows.map(([text, number]) => row(text, number))),
    h("tfoot", {}, row(t("imports.listed"), one.listed))));
}

const row = (text, number) => h("tr", { key: text }, h("th", { scope: "row" }, text), h("td", { class: "number" }, t("imports.number", { number })));

function buttons(page, one, { wish, change, ask }) {
  const isBusy = Boolean(wish) || page.isBusy(`import-${one.id}`);
  const button = (action, kind, onclick = () => change(action)) =>
    h("button", { type: "button", class: kind, disabled: isBusy, onclick, key: action }, t(`imports.actions.${action}`));
  const isOpen = OPEN.has(one.state);
  const shown = [
    // A contact's history brings in what is missing and ends by itself.
    isOpen && one.state !== "paused" && one.kind === "import" && button("pause", ""),
    (one.state === "paused" || one.state === "failed") && button("resume", "primary"),
    (isOpen || one.state === "failed") && button("cancel", "quiet", () => ask(true)),
  ].filter(Boolean);
  return shown.length > 0 && h("div", { class: "actions" }, shown);
}

function cancelling(change, close) {
  return dialog({
    title: t("imports.cancelTitle"), close,
    actions: [
      h("button", { type: "button", onclick: close }, t("imports.goOn")),
      h("button", { type: "button", class: "danger primary", onclick: () => (close(), change("cancel")) }, t("imports.cancelIt")),
    ],
  }, h("p", {}, t("imports.cancelText")));
}
