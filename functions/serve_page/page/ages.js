// How long ago mailboxes were in sync, and which of them should have been since.

import { chart } from "./chart.js";
import { h } from "./dom.js";
import { badge, icon, when } from "./parts.js";
import { to } from "./router.js";
import { t } from "./texts.js";

const FEW = 5;
const MINUTE = 60_000;
const UP_TO = { minutes5: 5, minutes15: 15, hour: 60, day: 1440, older: Infinity };

const UNITS = { minutes5: "unitMinutes", minutes15: "unitMinutes", hour: "unitHour", day: "unitDay" };

/** Whether a mailbox should have been in sync since: by its own cadence and rest, as the API says, or since nobody may ask for its mail. */
export const isBehind = ({ status, late_since: since }) => status === "reconnect_required" || Boolean(since);

export function ages(page, measured) {
  let most = FEW;
  return {
    render(all) {
      const mailboxes = all.filter(({ status }) => status !== "disconnected");
      const behind = mailboxes.filter(isBehind).length;
      const shown = mailboxes.sort(worstFirst).slice(0, most);
      const more = () => {
        most += 20;
        page.changed();
      };
      return h("section", { class: "card", "aria-labelledby": "ages" },
        h("h2", { id: "ages" }, t("operations.ages")),
        mailboxes.length === 0 ? h("p", {}, t("operations.noneConnected")) : [
          chart("sync-age", measured, drawn(mailboxes, behind)),
          h("h3", {}, t("operations.latestFirst")),
          behind === 0 && h("p", { class: "well" }, icon("check"), t("operations.noneLate")),
          h("ul", { class: "lines" }, shown.map(aged)),
          shown.length < mailboxes.length && h("div", {}, h("button", { class: "link", type: "button", onclick: more }, t("common.more"))),
        ]);
    },
  };
}

function drawn(mailboxes, behind) {
  const now = Date.now();
  const rows = [...Object.keys(UP_TO), "never"].map((name) => {
    const there = mailboxes.filter((one) => bucket(one, now) === name);
    const late = there.filter(isBehind).length;
    return { label: t(`operations.age.${name}`), short: t(`operations.ageShort.${name}`), below: UNITS[name] && t(`operations.${UNITS[name]}`), values: [there.length - late, late] };
  });
  return {
    summary: [
      t("operations.agesSaid", { fresh: rows[0].values[0] + rows[0].values[1], n: mailboxes.length }),
      behind ? t("operations.behindSaid", { n: behind }) : t("operations.noneBehindSaid"),
    ].join(" "),
    series: [{ name: t("operations.inTime"), kind: "well" }, { name: t("operations.behind"), kind: "ill" }],
    axes: { across: t("operations.lastInSync"), up: t("operations.mailboxes") },
    figures: true,
    rows,
  };
}

function bucket({ last_synced_at: at }, now) {
  if (!at) return "never";
  const minutes = (now - Date.parse(at)) / MINUTE;
  return Object.keys(UP_TO).find((name) => minutes <= UP_TO[name]);
}

function worstFirst(one, other) {
  if (isBehind(one) !== isBehind(other)) return isBehind(one) ? -1 : 1;
  return (one.last_synced_at ?? "") < (other.last_synced_at ?? "") ? -1 : 1;
}

const aged = (mailbox) =>
  h("li", { key: mailbox.id },
    h("a", { href: to("mailboxes", mailbox.id) }, mailbox.address), verdict(mailbox),
    h("span", { class: "muted" }, t("operations.lastInSync"), ": ", when(mailbox.last_synced_at), ". ", t("operations.every", { n: mailbox.sync_minutes })));

function verdict({ status, late_since: since }) {
  if (status === "reconnect_required") return badge(t("operations.stopped"), "bad");
  return since ? badge([t("operations.dueAt"), " ", when(since)], "busy") : badge(t("operations.inTime"), "good");
}
