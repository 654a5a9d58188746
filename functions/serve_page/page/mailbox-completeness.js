// Whether all of a mailbox's mail is here, as the daily comparison with its provider found.

import { h } from "./dom.js";
import { facts, progress } from "./parts.js";
import { formatDay, formatNumber, formatRelative, formatShare, t } from "./texts.js";

const ALWAYS = ["stored", "ledgered"];
const WHERE_THERE = ["under_way", "missing", "repaired", "extra", "folders_left_out"];

export function completeness(found) {
  return h("section", { class: "card", key: "complete" }, h("h2", {}, t("mailbox.complete")),
    found ? compared(found) : h("p", { class: "muted" }, t("mailbox.completeNone")));
}

function compared(found) {
  const here = found.stored + found.ledgered + found.repaired;
  const windows = found.windows.map(({ since, before }) =>
    before ? t("mailbox.window.between", { since: formatDay(since), before: formatDay(before) }) : t("mailbox.window.since", { since: formatDay(since) }))
    .reduce((one, other) => t("mailbox.window.and", { one, other }));
  const shown = [...ALWAYS, ...WHERE_THERE.filter((name) => found[name])];
  return [
    found.listed > 0 && h("p", { class: "figure" }, t("mailbox.completeShare", { share: formatShare(here / found.listed) })),
    found.listed > 0 && progress((100 * here) / found.listed, t("mailbox.complete")),
    h("p", {}, found.listed ? t("mailbox.completeText", { n: found.listed, here, windows }) : t("mailbox.completeEmpty", { windows })),
    facts(shown.map((name) => [t(`mailbox.found.${name}`), formatNumber(found[name])])),
    h("p", { class: "muted" }, t("mailbox.checked", { at: formatRelative(found.checked_at) }), " ",
      found.whole_mailbox_checked_at ? t("mailbox.checkedWhole", { at: formatRelative(found.whole_mailbox_checked_at) }) : t("mailbox.checkedNever")),
  ];
}
