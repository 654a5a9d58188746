// What came in by the hour, and which runs failed, of all mailboxes: pages of them are added up as they arrive.

import { api } from "./api.js";
import { chart } from "./chart.js";
import { h } from "./dom.js";
import { watch } from "./live.js";
import { problemBox, retryButton } from "./parts.js";
import { formatClock, formatInstant, formatWeekday, t, wordOf } from "./texts.js";

/** Counting reads every mailbox's runs, which is not free. */
const PAUSE = 5 * 60_000;
const HOUR = 3_600_000;
const CHOICES = [24, 48];

export function activity(page, measured) {
  let hours = CHOICES[0];
  let whole = null;
  let growing = null;
  let problem = null;
  const reading = watch(read, {
    show(sum) {
      if (sum !== growing) return;
      [whole, growing, problem] = [sum, null, null];
      page.changed();
    },
    failed(found) {
      problem = found;
      page.changed();
    },
    pause: () => PAUSE,
  });

  /** Goes on where a failure ended it, and ends where other hours were chosen meanwhile. */
  async function read() {
    const sum = (growing ??= { hours, next: null, counted: 0, from: 0, byHour: new Map(), isPart: false, failures: new Map(), letters: new Map() });
    do {
      const answer = await api.get("/v1/activity", { hours: sum.hours, next: sum.next });
      if (growing !== sum) break;
      add(sum, answer);
      problem = null;
      page.changed();
    } while (sum.next);
    return sum;
  }

  function choose(chosen) {
    [hours, growing] = [chosen, null];
    reading.again();
    page.changed();
  }

  /** What is counted of the hours that are chosen; `isWhole` once it is of all mailboxes. */
  const current = () => (whole?.hours === hours ? { ...whole, isWhole: true } : growing && { ...growing, isWhole: false });

  return {
    current,
    again: reading.again,
    close() {
      growing = null;
      reading.stop();
    },
    render(mailboxes) {
      const sum = current();
      return h("section", { class: "card", "aria-labelledby": "activity" },
        h("div", { class: "row between" },
          h("h2", { id: "activity" }, t("operations.activity")),
          h("p", { class: "muted grow", role: "status" }, sum?.isWhole ? "" : !problem && t("operations.counting", { done: sum?.counted ?? 0, n: mailboxes.length })),
          h("div", { class: "row", role: "group", "aria-label": t("operations.period") }, CHOICES.map((one) =>
            h("button", { type: "button", "aria-pressed": String(one === hours), onclick: () => choose(one) }, t("operations.lastHours", { n: one }))))),
        problem && problemBox(problem, retryButton(t("common.retry"), reading.again)),
        sum && sum.counted > 0 && chart("activity-chart", measured, drawn(sum)),
        sum?.isPart && h("p", { class: "hint" }, t("operations.activityPart")),
        sum && failures(sum));
    },
  };
}

function add(sum, answer) {
  const since = new Date(answer.since).getTime();
  sum.from = Math.max(sum.from, since);
  sum.next = answer.next;
  sum.counted += answer.items.length;
  for (const one of answer.items) {
    sum.letters.set(one.mailbox_id, one.dead_letters);
    for (let n = 0; n < one.synced.length; n += 1) {
      const hour = sum.byHour.get(since + n * HOUR) ?? [null, null];
      [one.synced[n], one.imported[n]].forEach((value, series) => {
        if (value === null) sum.isPart = true;
        else hour[series] = (hour[series] ?? 0) + value;
      });
      sum.byHour.set(since + n * HOUR, hour);
    }
    for (const { code, message, acts, count } of one.runs_failed) {
      const failure = sum.failures.get(code) ?? { code, message, acts, runs: 0, mailboxes: 0 };
      failure.runs += count;
      failure.mailboxes += 1;
      sum.failures.set(code, failure);
    }
  }
}

function drawn(sum) {
  const rows = Array.from({ length: sum.hours }, (_, n) => {
    const at = sum.from + n * HOUR;
    const isFirstOfDay = n === 0 || new Date(at).getDate() !== new Date(at - HOUR).getDate();
    return { label: formatInstant(at), short: formatClock(at), below: isFirstOfDay ? formatWeekday(at) : null, values: sum.byHour.get(at) ?? [0, 0] };
  });
  // The second line has room for one name of a day at a time.
  if (rows.slice(1, 4).some(({ below }) => below)) rows[0].below = null;
  const total = (series) => rows.reduce((all, { values }) => all + (values[series] ?? 0), 0);
  const most = rows.reduce((best, row) => (all(row) > all(best) ? row : best));
  const [live, imported] = [total(0), total(1)];
  return {
    summary: live + imported === 0
      ? t("operations.nothingCameIn", { n: sum.hours })
      : [t("operations.cameIn", { n: live, hours: sum.hours }), t("operations.wereImported", { n: imported }), t("operations.mostIn", { hour: most.short, n: all(most) })].join(" "),
    series: [{ name: t("operations.live"), kind: "live" }, { name: t("operations.imported"), kind: "imports" }],
    axes: { across: t("operations.hour"), up: t("operations.messages") },
    rows,
  };
}

const all = ({ values }) => (values[0] ?? 0) + (values[1] ?? 0);

function failures({ failures: found, isWhole }) {
  const sorted = [...found.values()].sort((one, other) => other.runs - one.runs);
  return [
    h("h3", {}, t("operations.failedRuns")),
    sorted.length
      ? h("ul", { class: "lines" }, sorted.map(({ code, message, acts, runs, mailboxes }) =>
        h("li", { key: code }, h("strong", {}, t("operations.runs", { n: runs })), h("span", {}, message),
          h("span", { class: "muted" }, t("operations.inMailboxes", { n: mailboxes }), " · ", wordOf("operations.moves", acts)))))
      : isWhole && h("p", {}, t("operations.noFailedRuns")),
  ];
}
