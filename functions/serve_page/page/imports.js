// A mailbox's imports: one that is under way, what became of earlier ones, and how to begin one.

import { api, quote } from "./api.js";
import { h } from "./dom.js";
import { importCard, OPEN, titleOf } from "./import-card.js";
import { newImport } from "./import-start.js";
import { watch } from "./live.js";
import { loading, problemBox } from "./parts.js";
import { t, wordOf } from "./texts.js";

const OFTEN = 1500;
const WAITING = 5000;
const SELDOM = 30_000;
/** Parts of an import that were under way when it was paused or cancelled end within this time. */
const SETTLES = 60_000;
const SHOWN = 10;

/**
 * The imports of a mailbox, as a part of a view: `{render(), close()}`. `previews` asks the provider at once how much there is;
 * `isNew` leaves out what a mailbox that was connected just now has no use for.
 */
export function importsPart(page, mailboxId, { previews = false, isNew = false } = {}) {
  const path = `/v1/mailboxes/${quote(mailboxId)}/backfills`;
  let items = null;
  let showsAll = false;
  let refused = null;
  let asked = null;
  let changedAt = 0;
  /** The states asked for that are not there yet, by import. */
  const wished = new Map();
  const live = watch(() => api.get(path), {
    show(answer) {
      items = answer.items;
      refused = null;
      page.changed();
    },
    failed(problem) {
      refused = problem;
      page.changed();
    },
    pause(answer) {
      const states = answer.items.map((one) => one.state);
      if (states.some((one) => one === "planning" || one === "running")) return OFTEN;
      return states.includes("waiting") || Date.now() - changedAt < SETTLES ? WAITING : SELDOM;
    },
  });
  const starter = newImport(page, mailboxId, { previews, begun: (one) => (replaceWith(one), live.again()) });

  /** Ask for a state, show it as asked for at once, and take it back where it is refused. */
  const change = (one, action) =>
    page.run(`import-${one.id}`, async () => {
      wished.set(one.id, action);
      page.changed();
      try {
        replaceWith(await api.post(`${path}/${quote(one.id)}/${action}`));
      } finally {
        wished.delete(one.id);
        changedAt = Date.now();
        live.again();
      }
    });

  function replaceWith(one) {
    items = items?.some(({ id }) => id === one.id) ? items.map((old) => (old.id === one.id ? one : old)) : [one, ...(items ?? [])];
    page.changed();
  }

  function render() {
    if (!items) return refused ? problemBox(refused) : loading();
    const shown = (level) => (one) => importCard(page, one, {
      level,
      wish: wished.get(one.id),
      change: (action) => change(one, action),
      isAsked: asked === one.id,
      ask: (whether) => ((asked = whether ? one.id : null), page.changed()),
    });
    // One that stopped waits for a person, until there is a later one.
    const isOpen = (one) => OPEN.has(one.state) || (one.state === "failed" && one === items[0]);
    const open = items.filter(isOpen);
    const over = items.filter((one) => !isOpen(one));
    const isImporting = open.some((one) => one.kind === "import" && one.state !== "failed");
    return h("div", { class: "imports stack" },
      refused && problemBox(refused),
      h("p", { class: "visually-hidden", role: "status", "aria-live": "polite" }, items.length > 0 && `${titleOf(items[0])}: ${wordOf("imports.states", items[0].state)}`),
      open.map(shown("h2")),
      !isImporting && !(isNew && over.length > 0) && starter.render(items),
      over.length > 0 && h("section", { class: "stack tight" }, !isNew && h("h2", {}, t("imports.earlier")), over.slice(0, showsAll ? over.length : SHOWN).map(shown(isNew ? "h2" : "h3"))),
      over.length > SHOWN && !showsAll && h("button", { type: "button", onclick: () => ((showsAll = true), page.changed()) }, t("common.more")));
  }

  return {
    render,
    close() {
      live.stop();
      starter.close();
    },
  };
}
