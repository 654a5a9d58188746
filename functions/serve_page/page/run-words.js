// What a run was for and what came of it, in words.

import { named } from "./mailbox-words.js";
import { formatDuration, hasText, t } from "./texts.js";

const SETTLED = ["unreadable", "failed"];
const BESIDE = ["removed", "moved", "flags_changed", "contacts_made", "contacts_put_off"];

export const reasonOf = (run) => named("runs.reason", run.reason);

export const took = (run) => formatDuration((Date.parse(run.ended_at) - Date.parse(run.started_at)) / 1000);

const skippedFor = ([reason, n]) => (hasText(`runs.skippedFor.${reason}`) ? t(`runs.skippedFor.${reason}`, { n }) : `${n} ${reason}`);

/** What came of a run: "3 messages brought in, 12 here already". */
export function came(run) {
  const left = Object.values(run.skipped).reduce((sum, n) => sum + n, 0);
  const said = [
    run.stored && t("runs.stored", { n: run.stored }),
    run.already_stored && t("runs.already_stored", { n: run.already_stored }),
    left && t("runs.skipped", { n: left, reasons: Object.entries(run.skipped).map(skippedFor).join(", ") }),
    run.gone && t("runs.gone", { n: run.gone }),
    ...[...SETTLED, ...BESIDE].map((name) => run[name] && t(`runs.${name}`, { n: run[name] })),
  ].filter(Boolean);
  return said.length ? said.join(", ") : t("runs.nothing");
}

/** Pairs of what became of messages and of how many: first of those the provider listed, then what was changed beside them. */
export const counted = (run) => [
  ...["stored", "already_stored"].map((name) => [t(`runs.count.${name}`), run[name]]),
  ...Object.entries(run.skipped).map(([reason, n]) => [t("runs.count.skipped", { reason: named("runs.leftOut", reason) }), n]),
  ...["gone", ...SETTLED, ...BESIDE].map((name) => [t(`runs.count.${name}`), run[name]]),
].filter(([, n]) => n > 0);
