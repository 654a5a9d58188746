// Administrators who see a mailbox's mail for a while, and who were let in before.

import { api, quote } from "./api.js";
import { h } from "./dom.js";
import { nameOf, readsMail } from "./mailbox-words.js";
import { act, dialog, field, refusal, select, when } from "./parts.js";
import { formatClock, t } from "./texts.js";

const MINUTES = [15, 30, 60];
const SHORTEST = 10;
const LONGEST = 500;

export function openings(page, id, reload) {
  const refused = refusal(page);
  const state = { reason: "", minutes: "60" };
  const path = `/v1/mailboxes/${quote(id)}/openings`;
  let isAsking = false;
  let before = null;
  let next = null;

  function ask(isOpen) {
    isAsking = isOpen;
    refused.clear();
    page.changed();
  }

  const begin = () => refused.by(async () => {
    await api.post(`/v1/mailboxes/${quote(id)}/openings`, { reason: state.reason.trim(), minutes: Number(state.minutes) });
    state.reason = "";
    ask(false);
    page.say(t("openings.begun"));
    reload();
  });

  async function end(opening) {
    await api.delete(`${path}/${quote(opening.id)}`);
    page.say(t("openings.ended"));
    before = null;
    reload();
  }

  async function more() {
    const found = await api.get(`/v1/mailboxes/${quote(id)}/openings`, { limit: 20, next });
    before = [...(before ?? []), ...found.items];
    next = found.next;
  }

  /** Nothing for those who are not told of openings. */
  function render(mailbox) {
    if (!mailbox.openings) return null;
    const mine = mailbox.openings.some((one) => one.opened_by === page.me.user_id && one.ends_at);
    const mayOpen = page.me.is_admin && !readsMail(page.me, mailbox) && !mine && mailbox.status !== "disconnected";
    return h("section", { class: "card", key: "openings" },
      h("h2", {}, t("openings.title")),
      h("p", { class: "muted" }, mayOpen ? t("openings.closed") : t("openings.intro")),
      mailbox.openings.length > 0 && list(mailbox.openings, true),
      before && (before.length ? list(before, false) : h("p", {}, t("openings.nobody"))),
      h("div", { class: "actions" },
        mayOpen && h("button", { type: "button", onclick: () => ask(true) }, t("openings.open")),
        (!before || next) && act(page, `openings ${id}`, before ? t("common.more") : t("openings.history"), more)),
      isAsking && question(mailbox));
  }

  const list = (items, isOpen) =>
    h("ul", { class: "stack tight" }, items.map((one) =>
      h("li", { key: one.id, class: "row between" },
        h("p", { class: "grow" }, h("strong", {}, one.opened_by), ": ", one.reason, " ",
          h("small", {}, when(one.opened_at), one.ends_at ? `, ${t("openings.until", { at: formatClock(one.ends_at) })}` : `, ${t("openings.bySettings")}`)),
        isOpen && one.ends_at && act(page, `end ${one.id}`, t("openings.end"), () => end(one), { label: t("openings.endOf", { user: one.opened_by }) }))));

  const isGiven = () => state.reason.trim().length >= SHORTEST;

  const question = (mailbox) =>
    dialog({
      title: t("openings.ask", { name: nameOf(mailbox) }), close: () => ask(false),
      submit: () => isGiven() && page.run(`open ${id}`, begin),
      actions: [
        h("button", { type: "button", class: "quiet", onclick: () => ask(false) }, t("common.cancel")),
        h("button", { type: "submit", class: "primary", disabled: !isGiven() || page.isBusy(`open ${id}`) }, t("openings.confirm")),
      ],
    },
    h("p", {}, t("openings.askText", { user: mailbox.owner_user_id })),
    field("opening-reason", t("openings.reason"), h("textarea", {
      value: state.reason, maxlength: String(LONGEST), oninput: (event) => ((state.reason = event.target.value), page.changed()),
    }), { hint: t("openings.reasonHint", { n: SHORTEST }) }),
    field("opening-minutes", t("openings.long"), select(page, state, "minutes", MINUTES.map((n) => [n, t("openings.minutes", { n })]))),
    refused.render());

  return { render };
}
