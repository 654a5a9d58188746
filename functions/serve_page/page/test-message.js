// A mail from a mailbox to itself, followed from step to step until it is back.

import { api, newKey, quote } from "./api.js";
import { h } from "./dom.js";
import { watch } from "./live.js";
import { named } from "./mailbox-words.js";
import { icon, trouble } from "./parts.js";
import { formatNumber, hasText, t } from "./texts.js";

const SOON = 2_000;
const LATER = 5_000;
const SLOW = 30_000;

/** `start(from)` sends one, `from` null being the mailbox's own address; `ended()` is called when it is back or has stopped. */
export function testMessage(page, id, ended) {
  let test = null;
  let live = null;

  async function start(from = null) {
    test = await api.post(`/v1/mailboxes/${quote(id)}/test-messages`, from ? { from } : {}, newKey());
    const sent = test.id;
    const begun = Date.now();
    live?.stop();
    live = watch(() => api.get(`/v1/mailboxes/${quote(id)}/test-messages/${quote(sent)}`), {
      show(found) {
        test = found;
        if (test.state !== "waiting") ended();
        page.changed();
      },
      failed() {},
      pause: (found) => (found.state !== "waiting" ? null : Date.now() - begun > SLOW ? LATER : SOON),
    });
  }

  function render() {
    if (!test) return null;
    return h("div", { class: "test stack tight", role: "status" },
      h("p", {}, h("strong", {}, hasText(`test.${test.state}`) ? t(`test.${test.state}`, { from: test.from, n: Math.round(seconds()) }) : test.state)),
      h("ol", { class: "steps" }, test.steps.map(step)),
      test.came_back_to === "spam" && trouble({ message: t("test.spam"), fix: t("test.spamText"), acts: null, mild: true }),
      test.cause && trouble({ ...test.cause, mild: test.state === "waiting" }));
  }

  const seconds = () => test.steps.reduce((sum, one) => sum + (one.seconds ?? 0), 0);

  function step({ step: name, at, seconds: after }) {
    const stands = !at && name === test.stands_at;
    const how = at ? "done" : stands && test.state === "stopped" ? "stopped" : stands ? "doing" : "to-do";
    return h("li", { key: name, class: how },
      how === "doing" ? h("span", { class: "spinner", "aria-hidden": "true" }) : icon({ done: "check", stopped: "warning", "to-do": "more" }[how]),
      h("span", {}, named("test.step", name), how !== "done" && h("span", { class: "visually-hidden" }, ` (${t(`test.how.${how}`)})`)),
      at && after > 0 && h("small", {}, t("test.after", { seconds: formatNumber(Math.round(after * 10) / 10) })));
  }

  return { start, render, isUnderWay: () => test?.state === "waiting", from: () => test?.from, close: () => live?.stop() };
}
