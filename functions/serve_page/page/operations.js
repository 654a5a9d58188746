// What an administrator watches over: all mailboxes of the tenant at a glance, what is wrong, what came in, what was given up.

import { activity } from "./activity.js";
import { ages, isBehind } from "./ages.js";
import { api } from "./api.js";
import { ruler } from "./chart.js";
import { deadLetters } from "./dead-letters.js";
import { h } from "./dom.js";
import { watch } from "./live.js";
import { emptiness, heading, icon, link, loading, notice, problemBox, retryButton, when } from "./parts.js";
import { formatList, formatNumber, t } from "./texts.js";
import { errorsOf, troubles } from "./troubles.js";

const PAUSE = 30_000;

export function open(page) {
  if (!page.me.is_admin) return { title: () => t("operations.title"), render: () => notice(t("operations.title"), t("operations.adminsOnly")) };
  const state = { mailboxes: null, problem: null, readAt: null };
  const measured = ruler(page);
  const mailboxes = watch(() => api.all("/v1/mailboxes"), {
    show(found) {
      Object.assign(state, { mailboxes: found, problem: null, readAt: new Date().toISOString() });
      page.changed();
    },
    failed(problem) {
      state.problem = problem;
      page.changed();
    },
    pause: () => PAUSE,
  });
  const parts = { troubles: troubles(page), ages: ages(page, measured), activity: activity(page, measured) };
  const letters = deadLetters(page, parts.activity);

  function again() {
    mailboxes.again();
    parts.activity.again();
  }

  function sections() {
    const found = state.mailboxes;
    if (!found.length) {
      return emptiness(t("operations.noMailboxes"), t("operations.noMailboxesText"), link("#/connect", t("operations.connect"), { kind: "primary", drawing: "plus" }));
    }
    return [glance(found), parts.troubles.render(found), parts.ages.render(found), parts.activity.render(found), letters.render(found)];
  }

  return {
    title: () => t("operations.title"),
    close() {
      mailboxes.stop();
      parts.activity.close();
      letters.close();
      measured.close();
    },
    render: () => [
      heading(t("operations.title"), state.readAt && h("span", { class: "muted" }, t("operations.asOf"), " ", when(state.readAt)),
        h("button", { type: "button", onclick: again }, icon("sync"), h("span", {}, t("operations.refresh")))),
      state.problem && problemBox(state.problem, retryButton(t("common.retry"), again)),
      state.mailboxes ? sections() : !state.problem && loading(),
    ],
  };
}

/** Which of the words at the top stands for a mailbox: each has one. */
function standing(mailbox) {
  if (mailbox.status === "disconnected") return "disconnected";
  if (mailbox.status === "reconnect_required" || errorsOf(mailbox).length) return "trouble";
  if (isBehind(mailbox)) return "late";
  return mailbox.last_synced_at ? "inSync" : "starting";
}

const STANDINGS = [["inSync", "good", "check"], ["trouble", "bad", "warning"], ["late", "busy", "sync"], ["starting", "", "play"], ["disconnected", "", "close"]];

function inSyncSaid(n, all) {
  if (!all) return t("operations.noneConnected");
  if (!n) return t("operations.noneInSyncSaid", { n: all });
  return t(n === all ? "operations.allInSyncSaid" : "operations.inSyncSaid", { n, all });
}

function glance(mailboxes) {
  const count = Object.fromEntries(STANDINGS.map(([name]) => [name, mailboxes.filter((one) => standing(one) === name).length]));
  const connected = mailboxes.length - count.disconnected;
  const others = STANDINGS.slice(1).filter(([name]) => connected && count[name]).map(([name]) => t(`operations.${name}Said`, { n: count[name] }));
  return h("section", { class: "card", "aria-label": t("operations.glance") },
    h("p", {}, inSyncSaid(count.inSync, connected), others.length ? ` ${formatList(others)}.` : ""),
    h("dl", { class: "standings" }, STANDINGS.map(([name, kind, drawing]) =>
      h("div", { class: count[name] ? kind : "" }, h("dt", {}, icon(drawing), t(`operations.${name}`)), h("dd", {}, formatNumber(count[name])),
        h("dd", { class: "hint" }, t(`operations.${name}Hint`))))));
}
