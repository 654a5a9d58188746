// One mailbox: how it is, what it imported, its runs, folders and settings, and the ways to leave.

import { api, quote } from "./api.js";
import { h } from "./dom.js";
import { watch } from "./live.js";
import { helpDialog } from "./mailbox-trouble.js";
import { overviewPart } from "./mailbox-overview.js";
import { mayChange, nameOf, named, providerMark, readsMail, stateBadge, tags } from "./mailbox-words.js";
import { act, link, loading, menu, notice, problemBox, retryButton, tabs } from "./parts.js";
import { to } from "./router.js";
import { t } from "./texts.js";

const OFTEN = 2_500;
const SELDOM = 30_000;
/**
 * The parts by the last part of their places. Each is made of `(page, mailboxId, {reload, help})` when it is first gone to,
 * answers with `{render(mailbox)}` and may have `close()`.
 */
const PARTS = { overview: overviewPart };

export function open(page, place) {
  const id = place.path[1];
  const help = helpDialog(page);
  const parts = new Map();
  let shown = partOf(place);
  let mailbox = null;
  let problem = null;

  const live = watch(() => api.get(`/v1/mailboxes/${quote(id)}`), {
    show(found) {
      mailbox = found;
      problem = null;
      page.changed();
    },
    failed(error) {
      problem = error;
      page.changed();
    },
    pause: (found) => (found.status === "connecting" || !found.last_synced_at ? OFTEN : SELDOM),
  });

  /** The mailbox as an answer of the API told it, or as it is found anew. */
  function reload(answer = null) {
    if (answer) mailbox = answer;
    live.again();
    page.changed();
  }

  function part() {
    if (!parts.has(shown)) parts.set(shown, PARTS[shown](page, id, { reload, help }));
    return parts.get(shown);
  }

  function render() {
    if (!mailbox) return problem ? refused() : loading();
    return [
      head(),
      problem && problemBox(problem),
      tabs(t("mailbox.tabs"), Object.keys(PARTS).map((name) => [placeOf(name), t(`mailbox.tab.${name}`), name === shown])),
      h("div", { class: "stack", key: shown }, part().render(mailbox)),
      help.render(),
    ];
  }

  function refused() {
    if (problem.status === 404) return notice(t("mailbox.gone"), t("mailbox.goneText"), link("#/mailboxes", t("mailbox.allMailboxes"), { kind: "button" }));
    return problemBox(problem, retryButton(t("common.retry"), live.again));
  }

  function head() {
    const about = [mailbox.display_name && mailbox.address, named("mailboxes.provider", mailbox.provider)].filter(Boolean).join(" · ");
    return h("div", { class: "mailbox-head" }, providerMark(mailbox.provider),
      h("div", { class: "grow" },
        h("p", {}, link("#/mailboxes", t("mailboxes.title"))),
        h("h1", { tabindex: "-1" }, nameOf(mailbox)),
        h("p", { class: "row muted" }, about, stateBadge(mailbox), tags(mailbox))),
      choices());
  }

  function choices() {
    const connected = mailbox.status !== "disconnected";
    const items = [
      connected && readsMail(page.me, mailbox) && !mailbox.is_primary && act(page, "primary", t("mailbox.makePrimary"), makePrimary, { drawing: "star" }),
      mayChange(page.me, mailbox) && link(to("connect", { provider: mailbox.provider, mailbox: id }), t("mailboxes.reconnect")),
    ].filter(Boolean);
    return items.length > 0 && menu(t("mailbox.more"), items);
  }

  async function makePrimary() {
    reload(await api.put(`/v1/mailboxes/${quote(id)}/primary`));
    page.say(t("mailbox.primaryMade", { name: nameOf(mailbox) }));
  }

  const placeOf = (name) => (name === "overview" ? to("mailboxes", id) : to("mailboxes", id, name));

  return {
    title: () => (mailbox ? nameOf(mailbox) : t("mailboxes.title")),
    render,
    arrive(next) {
      shown = partOf(next);
    },
    close() {
      live.stop();
      for (const one of parts.values()) one.close?.();
    },
  };
}

const partOf = ({ path }) => (PARTS[path[2]] ? path[2] : "overview");
