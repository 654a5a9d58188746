// Lists that come in pages: the beginning is asked again now and again, what follows when somebody wants it.

import { watch } from "./live.js";

const MOST_EMPTY_PAGES = 25;

/**
 * A list of what `ask(next)` answers: `{items, next}`, each item with an `id`. It draws through `page`.
 *
 * Has `items`, `hasMore`, `isKnown` (false until the first answer), `problem`, and `more()`, `all(most)`, `again()`, `stop()`.
 */
export function paged(page, ask, seconds) {
  const list = { items: [], hasMore: false, isKnown: false, isAsking: false, problem: null, more, all, again: () => watched.again(), stop: () => watched.stop() };
  let next = null;
  let wentOn = false;

  const watched = watch(() => filled(null), {
    show(answer) {
      list.problem = null;
      list.isKnown = true;
      // What was read beyond the beginning stays, as long as the beginning still reaches it.
      const reached = wentOn ? list.items.findIndex((one) => one.id === answer.items.at(-1)?.id) : -1;
      if (reached >= 0) list.items = joined(answer.items, list.items.slice(reached + 1));
      else {
        list.items = answer.items;
        next = answer.next;
        wentOn = false;
      }
      list.hasMore = next !== null;
      page.changed();
    },
    failed(problem) {
      list.problem = problem;
      page.changed();
    },
    pause: () => seconds * 1000,
  });

  /** Ask for the next page. A page may be empty and the list go on. */
  async function filled(from) {
    let answer = await ask(from);
    for (let n = 0; !answer.items.length && answer.next && n < MOST_EMPTY_PAGES; n += 1) answer = await ask(answer.next);
    return answer;
  }

  async function more() {
    if (list.isAsking || next === null) return;
    list.isAsking = true;
    page.changed();
    try {
      const from = next;
      const answer = await filled(from);
      if (next !== from) return;
      list.items = joined(list.items, answer.items);
      next = answer.next;
      wentOn = true;
      list.hasMore = next !== null;
    } finally {
      list.isAsking = false;
      page.changed();
    }
  }

  /** Everything there is, up to `most`. */
  async function all(most) {
    while (list.hasMore && list.items.length < most && !list.isAsking) await more();
  }

  return list;
}

function joined(first, second) {
  const there = new Set(first.map((one) => one.id));
  return [...first, ...second.filter((one) => !there.has(one.id))];
}
