// What is wrong, by its cause: one thing to mend, and the mailboxes it is in.

import { h } from "./dom.js";
import { badge, icon, link, when } from "./parts.js";
import { to } from "./router.js";
import { t, wordOf } from "./texts.js";

const FEW = 5;
/** Whose move comes first: those who read this, then others, then what nobody has to do anything about. */
const MOVES = ["tenant_admin", "operator", "user", "provider", "time"];

/** A mailbox's troubles: `{direction, error}`. */
export const errorsOf = ({ latest_error: errors }) =>
  Object.entries(errors).filter(([, error]) => error).map(([direction, error]) => ({ direction, error }));

export function troubles(page) {
  const whole = new Set();
  return {
    render(mailboxes) {
      const groups = grouped(mailboxes.filter(({ status }) => status !== "disconnected"));
      return h("section", { class: "card", "aria-labelledby": "troubles" },
        h("h2", { id: "troubles" }, t("operations.troubles")),
        groups.length === 0 && h("p", { class: "well" }, icon("check"), t("operations.noTroubles")),
        groups.map((group) => troubled(group, whole, page)));
    },
  };
}

function grouped(mailboxes) {
  const groups = new Map();
  for (const mailbox of mailboxes) {
    for (const { direction, error } of errorsOf(mailbox)) {
      const group = groups.get(error.code) ?? { ...error, since: error.first_seen_at, members: [], mailboxes: new Set() };
      if (error.first_seen_at < group.since) group.since = error.first_seen_at;
      group.members.push({ mailbox, direction, error });
      groups.set(error.code, group);
      group.mailboxes.add(mailbox.id);
    }
  }
  const rank = ({ acts }) => (MOVES.includes(acts) ? MOVES.indexOf(acts) : MOVES.length);
  return [...groups.values()].sort((one, other) => rank(one) - rank(other) || other.mailboxes.size - one.mailboxes.size);
}

function troubled(group, whole, page) {
  const all = [...group.members].sort((one, other) => (one.error.first_seen_at < other.error.first_seen_at ? -1 : 1));
  const shown = whole.has(group.code) ? all : all.slice(0, FEW);
  const showAll = () => {
    whole.add(group.code);
    page.changed();
  };
  return h("article", { class: ["provider", "time"].includes(group.acts) ? "trouble mild" : "trouble", key: group.code },
    icon("warning"),
    h("div", {},
      h("h3", { class: "what" }, group.message),
      h("p", {}, group.fix),
      h("p", { class: "acts" }, wordOf("operations.moves", group.acts), " · ", t("operations.inMailboxes", { n: group.mailboxes.size }), " · ", t("operations.since"), " ",
        when(group.since), " · ", h("code", {}, group.code)),
      h("ul", { class: "lines" }, shown.map(troubledMailbox)),
      shown.length < all.length && h("div", {}, h("button", { class: "link", type: "button", onclick: showAll }, t("operations.showAll", { n: all.length })))));
}

const troubledMailbox = ({ mailbox, direction, error }) =>
  h("li", { key: `${mailbox.id} ${direction}` },
    h("a", { href: to("mailboxes", mailbox.id) }, mailbox.address), badge(wordOf("operations.directions", direction)),
    h("span", { class: "muted" }, t("operations.since"), " ", when(error.first_seen_at), ", ", t("operations.seenTimes", { n: error.count }),
      error.next_retry_at && [", ", t("operations.nextTry"), " ", when(error.next_retry_at)]),
    mailbox.status === "reconnect_required" && direction === "inbound" &&
      link(to("connect", { provider: mailbox.provider, mailbox: mailbox.id }), t("operations.reconnect")));
