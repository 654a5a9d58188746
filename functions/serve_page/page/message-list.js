// Messages in a list, newest first and by day: a contact's timeline, and what a search finds.

import { h } from "./dom.js";
import { badge, icon } from "./parts.js";
import { names } from "./people.js";
import { to } from "./router.js";
import { formatClock, formatDay, formatInstant, t, wordOf } from "./texts.js";

/** Messages by day. `known` tells of `{boxes, contacts}` what they are called. */
export function messageList(messages, known) {
  const days = new Map();
  for (const message of messages) {
    const day = dayOf(message.sent_at);
    days.set(day, [...(days.get(day) ?? []), message]);
  }
  return [...days].map(([day, items]) =>
    h("section", { class: "day", key: day }, h("h3", {}, day), h("ol", { class: "messages" }, items.map((one) => row(one, known)))));
}

function row(message, known) {
  const isOut = message.direction === "outbound";
  const people = isOut ? message.to.concat(message.cc) : message.from;
  const isUnread = message.mailboxes.some((copy) => copy.seen === false);
  const about = [...kindBadges(message), holders(message, known)].filter(Boolean);
  return h("li", { key: message.id, class: isUnread ? "message unread" : "message" },
    h("a", { href: to("threads", message.thread_id, { message: message.id }) },
      h("span", { class: isOut ? "way out" : "way" }, icon(isOut ? "sent" : "received"),
        h("span", { class: "visually-hidden" }, t(isOut ? "conversations.outbound" : "conversations.inbound"))),
      h("span", { class: "who" }, isOut ? t("conversations.toWhom", { names: names(people, 2) }) : names(people, 2),
        isUnread && h("span", { class: "visually-hidden" }, t("conversations.unread"))),
      h("time", { datetime: message.sent_at, title: formatInstant(message.sent_at) }, formatClock(message.sent_at)),
      h("span", { class: "subject" }, subjectOf(message),
        message.has_attachments && h("span", { class: "clip" }, icon("paperclip"), h("span", { class: "visually-hidden" }, t("conversations.hasAttachments")))),
      message.snippet && h("span", { class: "snippet" }, message.snippet),
      about.length > 0 && h("span", { class: "about" }, about)),
    message.access !== "full" && h("p", { class: "hint" }, wordOf("conversations.access", message.access)),
    message.ambiguous.map((one) => h("p", { class: "hint" }, ambiguity(one, known))));
}

/** What a message is called, also where there is nothing to call it by. */
export function subjectOf(message) {
  if (message.subject === null) return t(message.access === "metadata" ? "conversations.subjectHidden" : "conversations.noSubject");
  return message.subject.trim() || t("conversations.noSubject");
}

/** What a message is besides words of a person. */
export function kindBadges(message) {
  return message.kinds.filter((kind) => kind !== "list").map((kind) => badge(wordOf("conversations.kinds", kind), kind === "bounce" ? "bad" : ""));
}

/** Which mailboxes hold it, where there is more than one to hold it. */
export function holders(message, known) {
  if (known.boxes.length < 2) return "";
  const addresses = new Set(message.mailboxes.map((copy) => known.boxes.find((box) => box.id === copy.mailbox_id)?.address).filter(Boolean));
  return [...addresses].join(", ");
}

/** That an address is of several contacts, and whose. */
export function ambiguity({ address, contacts }, known) {
  const called = contacts.map((id) => known.contacts.find((one) => one.id === id)?.name ?? id);
  return t("conversations.ambiguous", { address, names: called.join(", ") });
}

function dayOf(instant) {
  const day = new Date(instant).toDateString();
  const other = new Date();
  if (day === other.toDateString()) return t("conversations.today");
  // A day is not 24 hours long where clocks change.
  other.setDate(other.getDate() - 1);
  return day === other.toDateString() ? t("conversations.yesterday") : formatDay(instant);
}
