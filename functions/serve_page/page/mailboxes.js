// The mailboxes of the person who is signed in: which are well, which are not, and what helps.

import { api, quote } from "./api.js";
import { h } from "./dom.js";
import { watch } from "./live.js";
import { helpDialog, troubles } from "./mailbox-trouble.js";
import { importLine, isMoving, isOpen, nameOf, named, providerMark, stateBadge, stateOf, tags, times } from "./mailbox-words.js";
import { emptiness, heading, input, link, loading, problemBox, retryButton } from "./parts.js";
import { to } from "./router.js";
import { t } from "./texts.js";

const OFTEN = 3_000;
const SELDOM = 30_000;
const SEARCHED_FROM = 8;
const IMPORTS_ASKED = 10;
const GROUPS = ["attention", "well", "disconnected"];

export function open(page) {
  const state = { wanted: "" };
  const help = helpDialog(page);
  const imports = new Map();
  let mailboxes = null;
  let problem = null;

  const live = watch(load, {
    show(found) {
      mailboxes = found;
      problem = null;
      page.changed();
    },
    failed(error) {
      problem = error;
      page.changed();
    },
    pause: (found) => (found.some((one) => one.status === "connecting" || isImporting(one)) ? OFTEN : SELDOM),
  });

  async function load() {
    const found = await api.all("/v1/mailboxes");
    // How far imports are is asked of those that have one under way; the first time, of a few, as nothing else tells.
    const connected = found.filter(({ status }) => status === "active" || status === "connecting");
    const asked = connected.filter((one) => isImporting(one) || !imports.has(one.id)).slice(0, IMPORTS_ASKED);
    await Promise.all(asked.map(async ({ id }) => imports.set(id, await openImport(id))));
    for (const { id } of connected) if (!imports.has(id)) imports.set(id, null);
    return found;
  }

  const isImporting = ({ id }) => Boolean(imports.get(id) && isMoving(imports.get(id)));

  function render() {
    if (!mailboxes && problem) return [heading(t("mailboxes.title")), problemBox(problem, retryButton(t("common.retry"), live.again))];
    if (!mailboxes) return [heading(t("mailboxes.title")), loading()];
    if (!mailboxes.length) return [heading(t("mailboxes.title")), nothingYet()];
    const found = mailboxes.filter((one) => fits(one, state.wanted));
    const groups = GROUPS.map((name) => [name, found.filter((one) => groupOf(one) === name)]).filter(([, members]) => members.length);
    return [
      heading(t("mailboxes.title"), link(to("connect"), t("mailboxes.connect"), { kind: "primary", drawing: "plus" })),
      problem && problemBox(problem),
      mailboxes.length >= SEARCHED_FROM && search(found.length),
      // One group alone needs no name.
      groups.map(([name, members]) => h("section", { class: "stack tight", key: name, "aria-labelledby": `group-${name}` },
        h("h2", { id: `group-${name}`, class: groups.length > 1 || name !== "well" ? "group" : "visually-hidden" }, t(`mailboxes.group.${name}`, { n: members.length })),
        h("ul", { class: "stack tight" }, members.map(row)))),
      !found.length && emptiness(t("mailboxes.noMatch"), t("mailboxes.noMatchText"),
        h("button", { type: "button", onclick: () => ((state.wanted = ""), page.changed()) }, t("mailboxes.showAll"))),
      help.render(),
    ];
  }

  const search = (n) =>
    h("div", { class: "row" },
      h("div", { class: "grow" }, input(page, state, "wanted", { type: "search", "aria-label": t("mailboxes.search"), placeholder: t("mailboxes.search") })),
      h("p", { class: "muted", role: "status" }, t("mailboxes.found", { n, all: mailboxes.length })));

  function row(mailbox) {
    const current = imports.get(mailbox.id);
    return h("li", { class: "card mailbox", key: mailbox.id },
      h("div", { class: "mailbox-head" }, providerMark(mailbox.provider),
        h("div", { class: "grow" },
          h("h3", {}, h("a", { href: to("mailboxes", mailbox.id) }, nameOf(mailbox)), tags(mailbox)),
          h("p", { class: "muted" }, about(page.me, mailbox).join(" · "))),
        h("div", { class: "mailbox-state" }, stateBadge(mailbox), h("p", { class: "muted" }, times(mailbox)))),
      current && isOpen(current) && importLine(mailbox.id, current),
      troubles(page, mailbox, { help, reload: live.again, isBrief: true }));
  }

  return { title: () => t("mailboxes.title"), render, close: live.stop };
}

/** Its import that is not over, if there is one; what is refused of one mailbox leaves the list of all. */
async function openImport(id) {
  const { items } = await api.get(`/v1/mailboxes/${quote(id)}/backfills`).catch(() => ({ items: [] }));
  return items.find(isOpen) ?? null;
}

function groupOf(mailbox) {
  if (mailbox.status === "disconnected") return "disconnected";
  return stateOf(mailbox).kind === "bad" || mailbox.latest_error.inbound || mailbox.latest_error.outbound ? "attention" : "well";
}

const about = (me, mailbox) => [
  mailbox.display_name && mailbox.address,
  named("mailboxes.provider", mailbox.provider),
  mailbox.purpose !== "personal" && named("mailboxes.purpose", mailbox.purpose),
  mailbox.owner_user_id !== me.user_id && t("mailboxes.owner", { user: mailbox.owner_user_id }),
].filter(Boolean);

function fits(mailbox, wanted) {
  const text = [mailbox.address, mailbox.display_name, mailbox.owner_user_id, named("mailboxes.provider", mailbox.provider),
    named("mailboxes.purpose", mailbox.purpose), named("mailboxes.state", stateOf(mailbox).name)].join(" ").toLowerCase();
  return wanted.toLowerCase().split(/\s+/).every((word) => text.includes(word));
}

const nothingYet = () =>
  emptiness(t("mailboxes.empty"), t("mailboxes.emptyText"),
    ["gmail", "outlook", "imap"].map((provider, n) =>
      link(to("connect", { provider }), t(`mailboxes.connectTo.${provider}`), { kind: n ? "button" : "primary" })));
