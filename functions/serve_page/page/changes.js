// What somebody does with a message in their mailboxes: marked at once, moved and trashed a moment later, so that it can be taken back.

import { api, quote } from "./api.js";
import { writable } from "./people.js";
import { onForget } from "./session.js";
import { t } from "./texts.js";

// What is moved to a folder that is not followed cannot be fetched back from there: until then nothing is asked.
const UNDO_SECONDS = 6;
const waiting = new Set();

const hurry = () => waiting.forEach((begin) => begin());
// Who goes away has not taken it back; a page that is out of sight may never be heard of again.
addEventListener("pagehide", hurry);
document.addEventListener("visibilitychange", () => document.hidden && hurry());
onForget(hurry);

/** The copies of a message that somebody may change: in mailboxes of theirs that are connected. */
export function changeable(message, me, boxes) {
  const open = new Set(writable(me, boxes).map((box) => box.id));
  return message.mailboxes.filter((copy) => copy.seen !== null && open.has(copy.mailbox_id));
}

/** Mark a message read or unread in all of them. */
export async function mark(page, message, copies, seen) {
  const before = message.mailboxes;
  message.mailboxes = before.map((copy) => (copies.includes(copy) ? { ...copy, seen } : copy));
  page.changed();
  try {
    for (const id of mailboxesOf(copies)) take(message, id, await change(id, message, { seen }));
  } catch (problem) {
    message.mailboxes = before;
    throw problem;
  }
}

/** Move a message to a folder, or with `{trashed: true}` to the trash, unless it is undone; `show(text)` tells what becomes of it. */
export function move(page, message, copies, wanted, place, show) {
  const begin = async () => {
    if (!waiting.delete(begin)) return;
    toast.close();
    try {
      // All at once: of a page that goes away nothing comes second.
      await Promise.all([...mailboxesOf(copies)].map(async (id) => take(message, id, await change(id, message, wanted))));
      show(t("thread.moved", { place }));
    } catch (problem) {
      show(null);
      page.say("", { problem });
    }
  };
  const back = () => waiting.delete(begin) && show(null);
  waiting.add(begin);
  show(t("thread.moving", { place }));
  const toast = page.say(t("thread.moving", { place }), { undo: back, seconds: UNDO_SECONDS });
  setTimeout(begin, UNDO_SECONDS * 1000);
}

const change = (mailboxId, message, wanted) => api.patch(`/v1/mailboxes/${quote(mailboxId)}/messages/${quote(message.id)}`, wanted);
const mailboxesOf = (copies) => new Set(copies.map((copy) => copy.mailbox_id));

function take(message, mailboxId, answer) {
  message.mailboxes = [...message.mailboxes.filter((copy) => copy.mailbox_id !== mailboxId), ...answer.mailboxes];
}
