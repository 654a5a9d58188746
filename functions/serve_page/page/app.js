// The frame of the page: who is signed in, where we are, what is shown there. Views are loaded when they are first needed.

import { api, newKey, whoIs } from "./api.js";
import { h, render } from "./dom.js";
import { closeMenus, icon, link, loading, notice, problemBox, retryButton, toasts } from "./parts.js";
import { here } from "./router.js";
import * as session from "./session.js";
import { t } from "./texts.js";

const TICK = 20_000;
const TOAST = 8_000;

/**
 * The views by the first parts of their places. A module's `open(page, place)` answers with `{title(), render()}`, and may have
 * `arrive(place)` (another place of the same view), `close()`, and `returned(news)` (a provider sent the browser back).
 */
const ROUTES = [
  { name: "connect", at: ["connect"], load: () => import("./connect.js"), nav: "mailboxes" },
  { name: "erasure", at: ["erasures", "*"], load: () => import("./erase.js"), nav: "mailboxes" },
  { name: "mailbox", at: ["mailboxes", "*"], load: () => import("./mailbox.js"), nav: "mailboxes" },
  { name: "mailboxes", at: ["mailboxes"], load: () => import("./mailboxes.js"), nav: "mailboxes" },
  { name: "thread", at: ["threads", "*"], load: () => import("./thread.js"), nav: "conversations" },
  { name: "compose", at: ["compose"], load: () => import("./compose.js"), nav: "conversations" },
  { name: "conversations", at: ["conversations"], load: () => import("./conversations.js"), nav: "conversations" },
  { name: "operations", at: ["operations"], load: () => import("./operations.js"), nav: "operations" },
];
const NAVIGATION = ["conversations", "mailboxes", "operations"];

let view = null;
/** @type {{key: string | null, nav: string | null, opened?: Promise<void>, place?: ReturnType<typeof here>}} */
let shown = { key: null, nav: null };
let stage = "starting";
let refused = null;
let isLost = false;
let isCovered = false;
let isEntering = false;
let drawn = 0;
let isTitleDue = false;
const busy = new Set();
let told = [];

/** What views are given of the frame. */
const page = {
  me: null,
  settings: null,
  /** Draw again, once, however often it is asked for. */
  changed() {
    drawn ||= requestAnimationFrame(() => {
      drawn = 0;
      draw();
    });
  },
  /**
   * Say something that passes; `{undo}` offers a way back, `{problem}` is a refusal, which stays until it is closed. So
   * does what `{body}` describes each time the page is drawn, given what closes it.
   * @param {string} text
   * @param {{undo?: () => void, problem?: object, body?: (close: () => void) => any, seconds?: number}} [more]
   */
  say(text, { undo, problem, body, seconds = TOAST / 1000 } = {}) {
    const close = () => {
      told = told.filter((one) => one !== toast);
      page.changed();
    };
    const toast = { key: newKey(), text, problem, body, undo, close };
    told = [...told, toast];
    if (!problem && !body) setTimeout(close, seconds * 1000);
    page.changed();
    return toast;
  },
  /** Do `work` unless it is being done already, and say what refused it. Answers whether it was done. */
  async run(key, work) {
    if (busy.has(key)) return false;
    busy.add(key);
    page.changed();
    try {
      await work();
      return true;
    } catch (problem) {
      if (!problem.code) console.error(problem);
      page.say("", { problem });
      return false;
    } finally {
      busy.delete(key);
      page.changed();
    }
  },
  isBusy: (key) => busy.has(key),
};

async function start() {
  draw();
  for (const kind of ["click", "focusin", "keydown"]) document.addEventListener(kind, closeMenus);
  session.onSession((lost) => {
    isLost = lost;
    if (lost && stage === "starting") stage = refused ? "failed" : "signed-out";
    page.changed();
  });
  session.onForget(() => {
    view?.close?.();
    [view, stage] = [null, "signed-out"];
    page.changed();
  });
  session.onReturned(take);
  window.addEventListener("pageshow", (event) => {
    // A page that the browser had put away may be of somebody who has signed out since.
    if (event.persisted && session.isSignedIn() !== (stage === "ready")) location.reload();
  });
  try {
    await begin(session.returned());
  } catch (problem) {
    fail(problem);
  }
}

async function begin(news) {
  // A window that another one opened closes itself. Else a link led here, or the way back to a sign-in that is done.
  if (news?.elsewhere && window.closed) return;
  if (news?.elsewhere && !session.isSignedIn()) return fail({ code: "other_sign_in" });
  page.settings = await session.loadSettings();
  const isOutcome = news && !news.elsewhere && news.query.mailroom_outcome;
  if (news && !news.elsewhere && !isOutcome) await session.finishSignIn(news.query, whoIs).catch((problem) => (refused = problem));
  if (session.isSignedIn()) return enter(isOutcome ? news : null);
  if (refused) return fail(refused);
  // A sign-in at a mail provider that comes back to a tab without a sign-in of ours waits for it.
  if (isOutcome) session.store("mailroom.news", news);
  stage = "signed-out";
  page.changed();
}

function fail(problem) {
  refused = problem;
  stage = "failed";
  page.changed();
}

/** Begin to show what somebody who is signed in sees. */
async function enter(news) {
  isEntering = true;
  try {
    const place = session.takePlace();
    if (place && !location.hash) history.replaceState(null, "", place);
    page.me = await api.get("/v1/me");
  } catch (problem) {
    isEntering = false;
    return fail(problem);
  }
  stage = "ready";
  const kept = JSON.parse(sessionStorage.getItem("mailroom.news") ?? "null") ?? news;
  sessionStorage.removeItem("mailroom.news");
  window.addEventListener("hashchange", arrive);
  setInterval(page.changed, TICK);
  if (refused) sayRefused(refused);
  refused = null;
  if (kept) await take(kept);
  else await arrive();
}

/** Why a sign-in did not come to its end. */
const whyRefused = ({ code }) => (code === "access_denied" ? t("app.signInCancelled") : t("app.signInFailedText", { code: code ?? "" }));
const sayRefused = (problem) => page.say(whyRefused(problem), { problem: problem.requestId ? problem : undefined });

/** A provider sent a browser back: to sign in here, or to connect a mailbox. */
async function take(news) {
  if (!news.query.mailroom_outcome) {
    try {
      await session.finishSignIn(news.query, whoIs);
    } catch (problem) {
      return stage === "ready" ? sayRefused(problem) : fail(problem);
    }
    refused = null;
    // Else what was under way goes on by itself.
    if (!isEntering) await enter(null);
    return;
  }
  history.replaceState(null, "", "#/connect");
  await arrive();
  view?.returned?.(news);
}

function arrive() {
  const place = here();
  if (!place.path.length) return location.replace("#/mailboxes");
  const route = ROUTES.find(({ at }) => at.every((part, n) => (part === "*" ? place.path[n] : place.path[n] === part)));
  const key = route ? [route.name, ...route.at.map((part, n) => part === "*" && place.path[n])].join() : null;
  if (key && key === shown.key) {
    // One that is still on its way opens at the place where we are by then.
    shown.place = place;
    if (!view) return shown.opened;
    view.arrive?.(place);
    return page.changed();
  }
  view?.close?.();
  view = null;
  shown = { key, nav: route?.nav ?? null, place };
  page.changed();
  return (shown.opened = opening(route, shown));
}

async function opening(route, mine) {
  const module = await route?.load().catch(() => null);
  // Somebody went elsewhere meanwhile, and may even have come back.
  if (shown !== mine) return;
  if (!route) view = missingView();
  else view = module ? opened(module) : brokenView();
  draw();
  document.getElementById("content").focus({ preventScroll: true });
  isTitleDue = true;
  tellTitle();
  window.scrollTo(0, 0);
}

/** Who cannot see that the page is another one now hears its title, once it is known: unless they are elsewhere by then. */
function tellTitle() {
  const title = /** @type {HTMLElement} */ (document.querySelector("#content h1"));
  if (!isTitleDue || !title) return;
  isTitleDue = false;
  if (document.activeElement === document.getElementById("content")) title.focus({ preventScroll: true });
}

function opened(module) {
  try {
    return module.open(page, shown.place);
  } catch (fault) {
    return failedView(fault);
  }
}

const missingView = () => ({ title: () => t("app.notFound"), render: () => notice(t("app.notFound"), t("app.notFoundText"), link("#/mailboxes", t("app.mailboxes"), { kind: "button" })) });

const brokenView = () => ({
  title: () => t("app.newerPage"),
  render: () => notice(t("app.newerPage"), t("app.newerPageText"), retryButton(t("app.reload"), () => location.reload())),
});

/** In place of a view with a fault of ours in it: the rest of the page goes on. */
function failedView(fault) {
  console.error(fault);
  return {
    title: () => t("problem.internal"),
    render: () => notice(t("problem.internal"), t("app.viewFailed"), retryButton(t("app.reload"), () => location.reload())),
  };
}

const described = ({ title, render: content }) => ({ title: title(), content: content() });

function seen() {
  if (!view) return { title: "", content: loading() };
  try {
    return described(view);
  } catch (fault) {
    return described(failedView(fault));
  }
}

function draw() {
  const { title, content } = stage === "ready" ? seen() : { title: "", content: null };
  document.title = title ? t("app.title", { title }) : t("app.name");
  render(document.getElementById("page"), stage === "ready" ? frame(content) : outside());
  bringLostAbove();
  tellTitle();
}

function frame(content) {
  const links = NAVIGATION.filter((name) => name !== "operations" || page.me.is_admin);
  return [
    h("a", { class: "skip", href: "#content", onclick: skip }, t("app.skip")),
    isLost && (isCovered
      ? h("dialog", { class: "lost-above", key: "lost", "aria-label": t("app.signInAgain"), oncancel: (event) => event.preventDefault(), ref: (element) => element.showModal() }, h("div", {}, lost()))
      : h("div", { class: "lost", role: "alert" }, lost())),
    h("header", { class: "top" },
      h("a", { class: "brand", href: "#/mailboxes" }, icon("mark"), h("span", {}, t("app.name"))),
      h("nav", { "aria-label": t("app.navigation") },
        links.map((name) => h("a", { href: `#/${name}`, "aria-current": shown.nav === name ? "page" : null }, icon(name), h("span", {}, t(`app.${name}`))))),
      h("details", { class: "menu me" },
        h("summary", { "aria-label": t("app.signedInAs", { user: page.me.user_id }) }, icon("person")),
        h("div", { class: "sheet" },
          h("p", {}, t("app.signedInAs", { user: page.me.user_id }), page.me.is_admin && h("small", {}, t("app.administrator"))),
          h("button", { type: "button", onclick: () => page.run("sign-out", session.signOut) }, t("app.signOut"))))),
    // Before what is shown, so that an undo is near for whoever goes by keyboard, however long that is.
    toasts(told),
    h("main", { id: "content", tabindex: "-1", key: shown.key ?? "none" }, content),
  ];
}

const lost = () => [
  h("p", {}, t("app.lost")),
  h("button", { class: "primary", type: "button", onclick: () => page.run("sign-in", session.signInBeside) }, t("app.signInAgain")),
];

/** A dialogue makes all else inert: in front of one, the way to sign in again is one too. */
function bringLostAbove() {
  const covers = document.querySelector("dialog:modal:not(.lost-above)") !== null;
  if (covers === isCovered) return;
  isCovered = covers;
  page.changed();
}

function skip(event) {
  event.preventDefault();
  document.getElementById("content").focus();
}

function outside() {
  const again = retryButton(t("app.signIn"), () => session.signIn().catch(fail));
  const shownThere = {
    starting: () => loading(),
    "signed-out": () => notice(t("app.welcome"), t("app.welcomeText"), again),
    failed: () => failed(again),
  };
  return [h("header", { class: "top" }, h("span", { class: "brand" }, icon("mark"), h("span", {}, t("app.name")))),
    h("main", { id: "content", class: "outside", key: "outside" }, shownThere[stage]())];
}

function failed(again) {
  if (refused.requestId) return [problemBox(refused), again];
  if (refused.code === "offline") {
    return notice(t("app.unreachable"), t("app.unreachableText"), retryButton(t("app.reload"), () => location.reload()), again);
  }
  return notice(t("app.signInFailed"), whyRefused(refused), again);
}

start();
