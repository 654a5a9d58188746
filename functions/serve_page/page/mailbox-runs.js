// A mailbox's runs, newest first: when Mailroom looked, why, and what came of it.

import { api, quote } from "./api.js";
import { h } from "./dom.js";
import { watch } from "./live.js";
import { named } from "./mailbox-words.js";
import { act, badge, emptiness, facts, link, loading, problemBox, retryButton, when } from "./parts.js";
import { to } from "./router.js";
import { came, counted, reasonOf, took } from "./run-words.js";
import { formatNumber, t } from "./texts.js";

const SELDOM = 20_000;
const AT_ONCE = 20;

export function runsPart(page, id) {
  const path = `/v1/mailboxes/${quote(id)}/runs`;
  const opened = new Map();
  let newest = null;
  let older = [];
  let next = null;
  let problem = null;

  const live = watch(() => api.get(`/v1/mailboxes/${quote(id)}/runs`, { limit: AT_ONCE }), {
    show(found) {
      // What was on the first page and is not any more, is older now.
      const now = new Set(found.items.map((one) => one.id));
      older = [...(newest ?? []).filter((one) => !now.has(one.id)), ...older.filter((one) => !now.has(one.id))];
      if (!newest) next = found.next;
      newest = found.items;
      problem = null;
      page.changed();
    },
    failed(error) {
      problem = error;
      page.changed();
    },
    pause: () => SELDOM,
  });

  async function more() {
    const found = await api.get(`/v1/mailboxes/${quote(id)}/runs`, { limit: AT_ONCE, next });
    older = [...older, ...found.items];
    next = found.next;
  }

  async function show(run) {
    if (opened.delete(run.id)) return page.changed();
    opened.set(run.id, null);
    page.changed();
    try {
      opened.set(run.id, await api.get(`${path}/${quote(run.id)}`));
    } catch (error) {
      opened.delete(run.id);
      throw error;
    }
  }

  function render() {
    if (!newest) return problem ? problemBox(problem, retryButton(t("common.retry"), live.again)) : loading();
    const runs = [...newest, ...older];
    if (!runs.length) return emptiness(t("runs.empty"), t("runs.emptyText"));
    return [
      h("p", { class: "muted" }, t("runs.intro")),
      problem && problemBox(problem),
      h("div", { class: "card runs" },
        h("table", {}, h("caption", { class: "visually-hidden" }, t("runs.caption")),
          h("thead", {}, h("tr", {}, h("th", { scope: "col" }, t("runs.when")), h("th", { scope: "col", class: "wide-only" }, t("runs.why")),
            h("th", { scope: "col" }, t("runs.what")))),
          h("tbody", {}, runs.map((run) => [row(run), opened.has(run.id) && whole(run)])))),
      next && h("div", { class: "actions" }, act(page, `runs ${id}`, t("common.more"), more)),
    ];
  }

  const row = (run) =>
    h("tr", { key: run.id },
      h("td", {}, when(run.ended_at), h("p", { class: "muted small" }, h("span", { class: "narrow-only" }, `${reasonOf(run)} · `), took(run))),
      h("td", { class: "wide-only" }, reasonOf(run)),
      h("td", {}, run.code && h("p", {}, badge(t("runs.failedBadge"), "bad"), " ", run.message), (!run.code || run.listed > 0) && h("p", {}, sentence(came(run))),
        h("button", { type: "button", class: "link", "aria-expanded": String(opened.has(run.id)), "aria-label": t("runs.detailsOf", { reason: reasonOf(run) }), onclick: () => page.run(`run ${run.id}`, () => show(run)) },
        opened.has(run.id) ? t("runs.less") : t("common.details"))));

  function whole(run) {
    const found = opened.get(run.id);
    return h("tr", { key: `whole ${run.id}`, class: "whole" }, h("td", { colspan: "3" }, found ? inside(found) : loading()));
  }

  const inside = (run) =>
    h("div", { class: "stack tight" },
      h("p", {}, t("runs.listed", { n: run.listed })),
      facts(counted(run).map(([name, n]) => [name, formatNumber(n)])),
      run.unreadable_messages.length > 0 && [
        h("p", {}, t("runs.unreadableText")),
        h("ul", { class: "stack tight" }, run.unreadable_messages.map((one) =>
          h("li", { key: one.provider_message_id }, named("runs.unreadableFor", one.reason), " ", h("code", {}, one.provider_message_id)))),
        page.me.is_admin && h("p", {}, link(to("operations"), t("runs.letters"))),
      ],
      run.backfill_id && h("p", {}, link(to("mailboxes", id, "import"), t("runs.ofImport"))),
      h("p", { class: "muted small" }, t("runs.id", { id: run.id })));

  return { render, close: live.stop };
}

const sentence = (text) => `${text[0].toUpperCase()}${text.slice(1)}.`;
