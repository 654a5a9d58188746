// What a run was for and what came of it, in words.

import { named } from "./mailbox-words.js";
import { formatDuration, hasText, t } from "./texts.js";

const AFTER_STORED = ["unreadable", "failed", "removed", "moved", "flags_changed", "contacts_made", "contacts_put_off"];

export const reasonOf = (run) => named("runs.reason", run.reason);

export const took = (run) => formatDuration((Date.parse(run.ended_at) - Date.parse(run.started_at)) / 1000);

/** "3 without a contact, 2 automated" */
export const skippedReasons = (skipped) =>
  Object.entries(skipped).map(([reason, n]) => (hasText(`runs.skippedFor.${reason}`) ? t(`runs.skippedFor.${reason}`, { n }) : `${n} ${reason}`)).join(", ");

/** What came of a run: "3 messages brought in, 12 here already". */
export function came(run) {
  const left = Object.values(run.skipped).reduce((sum, n) => sum + n, 0);
  const said = [
    run.stored && t("runs.stored", { n: run.stored }),
    run.already_stored && t("runs.already_stored", { n: run.already_stored }),
    left && t("runs.skipped", { n: left, reasons: skippedReasons(run.skipped) }),
    run.gone && t("runs.goneCount", { n: run.gone }),
    ...AFTER_STORED.map((name) => run[name] && t(`runs.${name}`, { n: run[name] })),
  ].filter(Boolean);
  return said.length ? said.join(", ") : t("runs.nothing");
}
