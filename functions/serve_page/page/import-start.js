// Beginning an import: how far back, and before that how much there is.

import { api, quote } from "./api.js";
import { h } from "./dom.js";
import { loading, problemBox, radios } from "./parts.js";
import { formatDuration, t } from "./texts.js";

const DAYS = ["7", "30", "90", "365"];

/** The form of a new import; `begun(backfill)` is told of one that has begun. `previews` counts at once. */
export function newImport(page, mailboxId, { previews, begun }) {
  const path = `/v1/mailboxes/${quote(mailboxId)}`;
  const chosen = { importDays: "30" };
  let windows = null;
  let refused = null;
  let isCounting = false;
  let isClosed = false;

  async function count() {
    if (isCounting) return;
    isCounting = true;
    refused = null;
    page.changed();
    try {
      ({ windows } = await api.get(`${path}/backfill-preview`));
    } catch (problem) {
      if (!problem.code) throw problem;
      refused = problem;
    } finally {
      isCounting = false;
      if (!isClosed) page.changed();
    }
  }
  if (previews) count();

  const start = () =>
    page.run("import-start", async () => {
      begun(await api.post(`${path}/backfills`, { days: Number(chosen.importDays) }));
      // What is missing is another number from now on.
      windows = null;
    });

  function render(earlier) {
    const isBusy = page.isBusy("import-start");
    const countButton = (text) => h("button", { type: "button", disabled: isCounting, onclick: count }, text);
    return h("section", { class: "card", key: "new-import" },
      h("h2", {}, t("imports.title")),
      h("p", { class: "muted" }, t(earlier.length ? "imports.titleMore" : "imports.titleText")),
      radios(page, chosen, "importDays", t("imports.howFar"), DAYS.map((days) => [days, t("imports.lastDays", { n: Number(days) }), windows && preview(windows, days)])),
      h("div", { role: "status" }, isCounting && [loading(), h("p", { class: "hint" }, t("imports.counting"))]),
      windows && h("p", { class: "hint" }, notes(windows)),
      refused && problemBox(refused, countButton(t("common.retry"))),
      h("div", { class: "actions" },
        h("button", { type: "button", class: "primary", disabled: isBusy, "aria-busy": isBusy ? "true" : null, onclick: start }, t("imports.start")),
        !windows && !refused && countButton(t("imports.count"))));
  }

  return { render, close: () => (isClosed = true) };
}

/** What one window would bring, as far as anybody knows. */
function preview(windows, days) {
  const one = windows.find((window) => String(window.days) === days);
  if (!one) return null;
  const isExact = one.looked_at >= one.messages && !one.more;
  return [
    t(one.more ? "imports.moreThan" : "imports.there", { n: one.messages }),
    one.missing === null ? t("imports.missingUnknown") : one.missing === 0 ? t("imports.missingNone") : t(one.more ? "imports.missingMore" : "imports.missing", { n: one.missing }),
    one.matching === 0 && t(isExact ? "imports.matchingNone" : "imports.matchingFew"),
    one.matching > 0 && t(isExact ? "imports.matching" : "imports.matchingAbout", { n: one.matching }),
    one.seconds !== null && one.missing > 0 && t("imports.takes", { duration: formatDuration(one.seconds) }),
  ].filter(Boolean).join(" · ");
}

function notes(windows) {
  const isSampled = windows.some((one) => one.matching !== null && (one.looked_at < one.messages || one.more));
  return [
    t("imports.previewText"),
    isSampled && t("imports.sampled", { n: Math.max(...windows.map((one) => one.looked_at)) }),
    windows.some((one) => one.matching === null) && t(windows.some((one) => one.matching !== null) ? "imports.matchingPartlyUnknown" : "imports.matchingUnknown"),
    windows.some((one) => one.more) && t("imports.moreText"),
  ].filter(Boolean).join(" ");
}
