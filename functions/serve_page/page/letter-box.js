// The dead letters of one mailbox, while they are open.

import { api, quote } from "./api.js";
import { h } from "./dom.js";
import { watch } from "./live.js";
import { act, badge, facts, loading, problemBox, progress, retryButton, size, when } from "./parts.js";
import { formatClock, formatNumber, t, wordOf } from "./texts.js";

const PAGE = 20;
const OFTEN = 2500;
const SELDOM = 60_000;
const ENDED = new Set(["done", "cancelled", "failed"]);

/** Letters of the mailbox, read now and again until it is closed. */
export function letterBox(page, mailboxId) {
  const path = `/v1/mailboxes/${quote(mailboxId)}`;
  const replays = new Map();
  const links = new Map();
  let pages = 1;
  let letters = null;
  let hasMore = false;
  let problem = null;

  const watching = watch(read, {
    show([found, next]) {
      [letters, hasMore, problem] = [found, next !== null, null];
      page.changed();
    },
    failed(found) {
      problem = found;
      page.changed();
    },
    pause: () => (isMoving() ? OFTEN : SELDOM),
  });

  async function read() {
    const found = [];
    let next = null;
    // Whole pages may be settled, of which nothing is shown.
    do {
      const answer = await api.get(`${path}/dead-letters`, { limit: PAGE, next });
      found.push(...answer.items.filter(({ state }) => state !== "settled"));
      next = answer.next;
    } while (next && found.length < pages * PAGE);
    for (const { state, replay_backfill_id: id } of found) if (id && state === "replaying" && !replays.has(id)) replays.set(id, null);
    for (const [id, known] of replays) if (!hasEnded(known)) replays.set(id, await api.get(`${path}/backfills/${quote(id)}`));
    return [found, next];
  }

  const isMoving = () => [...replays.values()].some((one) => !hasEnded(one)) || letters.some(({ state }) => state === "replaying");

  async function replay(where) {
    let next = null;
    let queued = 0;
    let blocked = 0;
    do {
      const answer = await api.post(`${path}/dead-letters/${where}${next ? `?next=${quote(next)}` : ""}`);
      queued += answer.queued.length;
      blocked += answer.blocked.length;
      if (answer.backfill_id) replays.set(answer.backfill_id, null);
      next = answer.next;
    } while (next);
    page.say([(queued || !blocked) && t("operations.triedAgain", { n: queued }), blocked && t("operations.blocked", { n: blocked })].filter(Boolean).join(" "));
    watching.again();
  }

  const link = async (letter) => links.set(letter.id, await api.get(`${path}/dead-letters/${quote(letter.id)}/raw`));

  function more() {
    pages += 1;
    watching.again();
  }

  function letterShown(letter, isActive) {
    return h("li", { key: letter.id, class: "letter" },
      h("div", { class: "row" }, h("h3", {}, letter.message), letter.state === "replaying" && badge(t("operations.replaying"), "busy")),
      h("p", {}, letter.fix),
      facts([
        [t("operations.kind"), wordOf("operations.kinds", letter.kind)],
        [t("operations.move"), wordOf("operations.moves", letter.acts)],
        [t("operations.givenUp"), when(letter.first_seen_at)],
        [t("operations.tries"), [formatNumber(letter.attempts), letter.last_seen_at !== letter.first_seen_at && [", ", t("operations.lastTry"), " ", when(letter.last_seen_at)]]],
        letter.received_at && [t("operations.received"), when(letter.received_at)],
        letter.size !== null && [t("operations.size"), size(letter.size)],
        [t("operations.code"), h("code", {}, letter.code)],
      ]),
      h("div", { class: "actions" },
        act(page, `replay ${letter.id}`, t("operations.tryAgain"), () => replay(`${quote(letter.id)}/replay`), { drawing: "sync", disabled: !isActive || letter.state === "replaying" }),
        raw(letter)));
  }

  function raw(letter) {
    const made = links.get(letter.id);
    if (made && Date.parse(made.expires_at) > Date.now()) {
      return h("a", { class: "button", href: made.url, rel: "noreferrer" }, t("operations.download", { until: formatClock(made.expires_at) }));
    }
    if (letter.raw_size !== null) return act(page, `raw ${letter.id}`, t("operations.getRaw", { size: size(letter.raw_size) }), () => link(letter), { drawing: "download" });
    return letter.raw_missing_message && h("small", {}, t("operations.noRaw", { why: letter.raw_missing_message }));
  }

  return {
    close: watching.stop,
    /** How many there are, as the activity counts them; null until they were read. */
    seen: () => letters && { open: letters.filter(({ state }) => state === "open").length, replaying: letters.filter(({ state }) => state === "replaying").length, more: hasMore },
    render(mailbox) {
      const isActive = mailbox.status === "active";
      return h("div", { class: "stack" },
        problem && problemBox(problem, retryButton(t("common.retry"), watching.again)),
        [...replays].map(([id, one]) => !hasEnded(one) && h("div", { key: id, class: "stack tight" }, underWay(one))),
        h("div", { role: "status" }, [...replays].map(([id, one]) => hasEnded(one) && h("p", { key: id }, ended(one)))),
        !letters && !problem && loading(),
        letters?.length === 0 && h("p", {}, t("operations.allSettled")),
        letters?.length > 0 && [
          !isActive && h("p", { class: "hint" }, t("operations.notActive")),
          h("div", { class: "actions" }, act(page, `replay ${mailboxId}`, t("operations.tryAllAgain"), () => replay("replay"), { drawing: "sync", disabled: !isActive })),
          h("ul", { class: "stack" }, letters.map((one) => letterShown(one, isActive))),
          hasMore && h("div", {}, h("button", { type: "button", onclick: more }, t("common.more"))),
        ]);
    },
  };
}

const hasEnded = (replay) => Boolean(replay && ENDED.has(replay.state));

function underWay(replay) {
  if (!replay || replay.state === "planning") return h("p", {}, t("operations.replayBegins"));
  return [
    h("p", {}, t("operations.replayRuns", { percent: replay.percent })),
    progress(replay.percent, t("operations.replayProgress")),
    replay.message && h("p", { class: "hint" }, replay.message, " ", replay.fix),
  ];
}

function ended(replay) {
  const left = replay.unreadable + replay.failed;
  return [
    t("operations.replayEnded", { n: replay.stored + replay.already_stored }),
    left > 0 && t("operations.replayLeft", { n: left }),
    replay.gone > 0 && t("operations.replayGone", { n: replay.gone }),
    replay.state === "failed" && replay.message,
  ].filter(Boolean).join(" ");
}
