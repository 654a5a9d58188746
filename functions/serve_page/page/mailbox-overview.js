// How a mailbox is: in a sentence, with what helps; whether all of its mail is here; what is known of it.

import { api, quote } from "./api.js";
import { h } from "./dom.js";
import { watch } from "./live.js";
import { completeness } from "./mailbox-completeness.js";
import { troubles } from "./mailbox-trouble.js";
import { importLine, isMoving, isOpen, mayChange, named, readsMail, stateOf, times } from "./mailbox-words.js";
import { openings } from "./openings.js";
import { act, facts, icon, link, when } from "./parts.js";
import { to } from "./router.js";
import { came } from "./run-words.js";
import { testMessage } from "./test-message.js";
import { formatRelative, hasText, t } from "./texts.js";

const SOON = 1_500;
const LATER = 5_000;
const SLOW = 30_000;
const LONGEST = 180_000;
const RUNS_LOOKED_AT = 10;
// A run that began after the one asked for makes that one needless, and it never comes: ids are in the order of time.
const LOOKS = new Set(["schedule", "requested", "connected", "continued", "push"]);

export function overviewPart(page, id, { reload, help }) {
  const sync = following(page, id, reload);
  const test = testMessage(page, id, reload);
  const opened = openings(page, id, reload);
  let current = null;
  let imports = null;
  const follow = () => watch(() => api.get(`/v1/mailboxes/${quote(id)}/backfills`), {
    show({ items }) {
      current = items.find(isOpen) ?? null;
      page.changed();
    },
    failed() {},
    pause: () => (current && isMoving(current) ? SOON * 2 : null),
  });

  function render(mailbox) {
    imports ??= follow();
    const { name } = stateOf(mailbox);
    const said = hasText(`mailbox.state.${name}`) ? t(`mailbox.state.${name}`, { times: times(mailbox), late: mailbox.late_since && formatRelative(mailbox.late_since) }) : name;
    const isActive = mailbox.status === "active";
    const isOver = mailbox.status === "disconnected";
    const sends = isActive && readsMail(page.me, mailbox);
    return [
      h("section", { class: "card" },
        h("div", { class: "row between" },
          h("p", { class: "grow lead" }, said),
          h("div", { class: "actions" },
            isOver && mayChange(page.me, mailbox) && link(to("connect", { provider: mailbox.provider, mailbox: id }), t("mailboxes.reconnect"), { kind: "primary" }),
            isActive && act(page, `sync ${id}`, t("mailbox.sync"), sync.start, { kind: "primary", drawing: "sync", disabled: sync.isUnderWay() }),
            sends && act(page, `test ${id}`, t("mailbox.test"), () => test.start(), { disabled: test.isUnderWay() }),
            sends && link(to("compose", { mailbox: id }), t("mailbox.write"), { kind: "button" }))),
        sync.render(),
        test.render(),
        current && isOpen(current) && importLine(id, current)),
      troubles(page, mailbox, { help, reload }),
      mailbox.allow_untrusted_certificate && h("div", { class: "trouble mild", key: "untrusted" }, icon("warning"),
        h("div", {}, h("p", { class: "what" }, t("mailbox.certificate")), h("p", {}, t("mailbox.certificateText")))),
      (!isOver || mailbox.completeness) && completeness(mailbox.completeness),
      h("section", { class: "card", key: "facts" }, h("h2", {}, t("mailbox.facts")), facts(known(mailbox))),
      opened.render(mailbox),
    ];
  }

  function rest() {
    imports?.stop();
    imports = null;
  }

  return {
    render,
    rest,
    close() {
      rest();
      sync.close();
      test.close();
    },
  };
}

/** A sync that was asked for, followed to what came of it. */
function following(page, id, reload) {
  let asked = null;
  let run = null;
  let runs = null;

  async function start() {
    const { run_id: runId } = await api.post(`/v1/mailboxes/${quote(id)}/sync`);
    runs?.stop();
    asked = Date.now();
    run = null;
    runs = watch(() => api.get(`/v1/mailboxes/${quote(id)}/runs`, { limit: RUNS_LOOKED_AT }), {
      show({ items }) {
        run = items.find((one) => one.id === runId) ?? items.find((one) => one.id > runId && LOOKS.has(one.reason)) ?? null;
        if (run) reload();
        page.changed();
      },
      failed() {},
      pause: () => (run || isLost() ? null : waited() > SLOW ? LATER : SOON),
    });
  }

  const waited = () => Date.now() - asked;
  const isLost = () => waited() > LONGEST;
  const isUnderWay = () => asked !== null && !run && !isLost();

  /** In words, once somebody asked. The paragraph is there before, so that its change is read out. */
  function words() {
    if (asked === null) return null;
    // A failure's own words are among the troubles.
    if (run) return run.code ? run.message : t("mailbox.synced", { came: came(run) });
    if (isLost()) return t("mailbox.syncLost");
    return waited() > SLOW ? t("mailbox.syncSlow") : t("mailbox.syncing");
  }

  return {
    start,
    isUnderWay,
    render: () => h("p", { class: asked === null ? "visually-hidden" : "row", role: "status" }, isUnderWay() && h("span", { class: "spinner", "aria-hidden": "true" }), words()),
    close: () => runs?.stop(),
  };
}

const granted = (to) => (to === "everyone" ? t("mailbox.granted.everyone") : to.length ? to.join(", ") : t("mailbox.granted.nobody"));
const server = (one) => t("mailbox.server", { host: one.host, port: String(one.port) });

const known = (mailbox) => [
  ["address", mailbox.address],
  mailbox.reply_to && ["replyTo", mailbox.reply_to],
  ["provider", named("mailboxes.provider", mailbox.provider)],
  ["owner", mailbox.owner_user_id],
  ["kind", named("mailbox.kind", mailbox.kind)],
  ["purpose", named("mailboxes.purpose", mailbox.purpose)],
  mailbox.granted_to && ["granted", granted(mailbox.granted_to)],
  ["visibility", named("mailbox.visibility", mailbox.visibility)],
  ["connected", when(mailbox.connected_at)],
  ["history", mailbox.backfill_days ? t("mailbox.history.days", { n: mailbox.backfill_days }) : t("mailbox.history.none")],
  ["cadence", t("mailbox.cadence", { n: mailbox.sync_minutes })],
  ["stores", named("mailbox.stores", mailbox.store)],
  ["folders", mailbox.active_folders ? t("mailbox.foldersChosen", { n: mailbox.active_folders.length }) : t("mailbox.foldersAll")],
  mailbox.imap && ["imap", server(mailbox.imap)],
  mailbox.smtp && ["smtp", server(mailbox.smtp)],
  mailbox.recovery_note && ["note", mailbox.recovery_note],
].filter(Boolean).map(([name, value]) => [t(`mailbox.fact.${name}`), value]);
