// One mailbox: how it is, what it imported, its runs, folders and settings, and the ways to leave.

import { api, quote } from "./api.js";
import { disconnectDialog } from "./disconnect.js";
import { h } from "./dom.js";
import { eraseDialog } from "./erase.js";
import { importsPart } from "./imports.js";
import { watch } from "./live.js";
import { foldersPart } from "./mailbox-folders.js";
import { helpDialog } from "./mailbox-trouble.js";
import { overviewPart } from "./mailbox-overview.js";
import { runsPart } from "./mailbox-runs.js";
import { settingsPart } from "./mailbox-settings.js";
import { mayChange, nameOf, named, providerMark, readsMail, stateBadge, tags } from "./mailbox-words.js";
import { act, link, loading, menu, notice, problemBox, retryButton, tabs } from "./parts.js";
import { replace, to } from "./router.js";
import { t } from "./texts.js";

const OFTEN = 2_500;
const SELDOM = 30_000;
/**
 * The parts by the last part of their places. Each is made of `(page, mailboxId, {reload, help, leave})` when it is first gone to,
 * answers with `{render(mailbox)}` and may have `close()`, and `rest()` where what was typed or is followed there is to stay
 * while another is shown.
 */
const PARTS = { overview: overviewPart, import: (page, id) => importsPart(page, id), runs: runsPart, folders: foldersPart, settings: settingsPart };
/** Of one that is disconnected there is nothing to choose folders of. */
const NOT_DISCONNECTED = new Set(["import", "folders"]);

export function open(page, place) {
  const id = place.path[1];
  const help = helpDialog(page);
  const ending = disconnectDialog(page, () => reload());
  // The mailbox is not there any more, nor is the way back to it.
  const erasing = eraseDialog(page, (erasure) => replace("erasures", erasure.id));
  const leave = { disconnect: ending.open, erase: erasing.open };
  const parts = new Map();
  let shown = partOf(place);
  let mailbox = null;
  let problem = null;

  const live = watch(() => api.get(`/v1/mailboxes/${quote(id)}`), {
    show(found) {
      take(found);
      problem = null;
      page.changed();
    },
    failed(error) {
      problem = error;
      page.changed();
    },
    pause: (found) => (found.status === "connecting" || !found.last_synced_at ? OFTEN : SELDOM),
  });

  function take(found) {
    mailbox = found;
    go(shown);
  }

  /** To a part, or to the overview where the mailbox has no such part now. */
  function go(wanted) {
    const name = !mailbox || names().includes(wanted) ? wanted : "overview";
    if (name !== shown) leavePart();
    shown = name;
  }

  /** The mailbox as an answer of the API told it, or as it is found anew. */
  function reload(answer = null) {
    if (answer) take(answer);
    live.again();
    page.changed();
  }

  function part() {
    if (!parts.has(shown)) parts.set(shown, PARTS[shown](page, id, { reload, help, leave }));
    return parts.get(shown);
  }

  /** What nobody looks at asks for nothing. */
  function leavePart() {
    const left = parts.get(shown);
    if (left?.rest) return left.rest();
    left?.close?.();
    parts.delete(shown);
  }

  function render() {
    if (!mailbox) return problem ? refused() : loading();
    return [
      head(),
      problem && problemBox(problem),
      tabs(t("mailbox.tabs"), names().map((name) => [placeOf(name), t(`mailbox.tab.${name}`), name === shown])),
      h("div", { class: "stack", key: shown }, part().render(mailbox)),
      help.render() || ending.render() || erasing.render(),
    ];
  }

  const names = () => Object.keys(PARTS).filter((name) => mailbox.status !== "disconnected" || !NOT_DISCONNECTED.has(name));

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
    const mine = mayChange(page.me, mailbox);
    const items = [
      connected && readsMail(page.me, mailbox) && !mailbox.is_primary && act(page, "primary", t("mailbox.makePrimary"), makePrimary, { drawing: "star" }),
      mine && link(to("connect", { provider: mailbox.provider, mailbox: id }), t("mailboxes.reconnect")),
      mine && connected && h("button", { type: "button", class: "danger", onclick: () => ending.open(mailbox) }, t("mailbox.disconnect")),
      mine && h("button", { type: "button", class: "danger", onclick: () => erasing.open(mailbox) }, t("mailbox.erase")),
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
    arrive: (next) => go(partOf(next)),
    close() {
      live.stop();
      for (const one of parts.values()) one.close?.();
    },
  };
}

const partOf = ({ path }) => (Object.hasOwn(PARTS, path[2]) ? path[2] : "overview");
