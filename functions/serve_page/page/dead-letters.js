// What was given up: messages that could not be read and work that could not be done, by mailbox, and trying it again.

import { h } from "./dom.js";
import { icon } from "./parts.js";
import { to } from "./router.js";
import { letterBox } from "./letter-box.js";
import { t } from "./texts.js";

export function deadLetters(page, activity) {
  const opened = new Map();

  function toggle(mailbox, isOpen) {
    if (isOpen === opened.has(mailbox.id)) return;
    if (isOpen) opened.set(mailbox.id, letterBox(page, mailbox.id));
    else {
      opened.get(mailbox.id).close();
      opened.delete(mailbox.id);
    }
    page.changed();
  }

  const row = (mailbox, seen) => {
    const box = opened.get(mailbox.id);
    return h("details", { class: "letters", key: mailbox.id, open: Boolean(box), ontoggle: (event) => toggle(mailbox, event.target.open) },
      h("summary", {}, mailbox.address, " ", h("span", { class: "muted" }, said(box?.seen() ?? seen))),
      box && h("p", {}, h("a", { href: to("mailboxes", mailbox.id) }, t("operations.openMailbox"))),
      box?.render(mailbox));
  };

  return {
    close: () => opened.forEach((box) => box.close()),
    render(mailboxes) {
      const sum = activity.current();
      const rows = mailboxes.filter(({ id }) => opened.has(id) || waits(sum?.letters.get(id)));
      return h("section", { class: "card", "aria-labelledby": "dead-letters" },
        h("h2", { id: "dead-letters" }, t("operations.deadLetters")),
        rows.map((mailbox) => row(mailbox, sum?.letters.get(mailbox.id))),
        rows.length === 0 && (sum?.isWhole
          ? h("p", { class: "well" }, icon("check"), t("operations.nothingGivenUp"))
          : h("p", { class: "muted" }, t("operations.noneSoFar", { done: sum?.counted ?? 0, n: mailboxes.length }))),
        h("details", {}, h("summary", {}, t("operations.whatIsThat")), h("p", {}, t("operations.deadLetterIs")), h("p", {}, t("operations.tryAgainIs")), h("p", {}, t("operations.rawIs"))));
    },
  };
}

/** Of more than are looked at nothing may be known to be open. */
const waits = (seen) => Boolean(seen && (seen.open || seen.replaying || seen.more));

function said(seen) {
  if (!seen) return "";
  const open = t(seen.more ? "operations.openAtLeast" : "operations.openLetters", { n: seen.open });
  return seen.replaying ? `${open}, ${t("operations.replayingLetters", { n: seen.replaying })}` : open;
}
