// Polls as little as serves: often while something moves, seldom when nothing does, not at all while nobody looks.

const LONGEST_PAUSE = 5 * 60_000;
const JITTER = 0.1;

/**
 * Ask `load` now and again, and hand what it answers to `show`; what it throws to `failed`.
 *
 * `pause(answer)` says how many milliseconds to wait after an answer; null ends it. After failures it waits twice as long each
 * time, at least as long as a `retryAfter` (seconds) of the error says. While the page is hidden nothing is asked; when it is seen
 * again, what was due meanwhile, at once. Returns `{again, stop}`: `again()` asks now, and once more if it was asking already.
 */
export function watch(load, { show, failed, pause }) {
  let timer = 0;
  let asking = false;
  let wanted = false;
  let stopped = false;
  let failures = 0;

  async function ask() {
    clearTimeout(timer);
    if (stopped) return;
    if (asking || document.hidden) {
      wanted = true;
      return;
    }
    asking = true;
    wanted = false;
    let next;
    try {
      const answer = await load();
      failures = 0;
      if (stopped) return;
      show(answer);
      next = pause(answer);
    } catch (error) {
      if (stopped) return;
      failures += 1;
      failed(error);
      next = Math.max((error.retryAfter ?? 0) * 1000, Math.min(LONGEST_PAUSE, 2000 * 2 ** failures));
    } finally {
      asking = false;
    }
    if (wanted) ask();
    else if (next !== null) timer = setTimeout(ask, next * (1 + JITTER * (2 * Math.random() - 1)));
  }

  const seen = () => !document.hidden && wanted && ask();
  document.addEventListener("visibilitychange", seen);
  ask();
  return {
    again: ask,
    stop() {
      stopped = true;
      clearTimeout(timer);
      document.removeEventListener("visibilitychange", seen);
    },
  };
}
