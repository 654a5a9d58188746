// Elements that several views are made of.

import { h } from "./dom.js";
import { formatBytes, formatInstant, formatRelative, hasText, t, wordOf } from "./texts.js";

const ICONS = {
  mark: "M4 7.5 12 13l8-5.5M4 6h16v12H4z",
  conversations: "M4 5h16v11H9l-5 4z",
  mailboxes: "M3 8l9 6 9-6M3 6h18v13H3z",
  operations: "M4 20V10M10 20V4M16 20v-7M21 20H3",
  person: "M12 12a4 4 0 1 0 0-8 4 4 0 0 0 0 8zM4 20c1-4 4-6 8-6s7 2 8 6",
  search: "M11 18a7 7 0 1 0 0-14 7 7 0 0 0 0 14zM16 16l5 5",
  paperclip: "M8 12l6-6a3 3 0 0 1 5 4l-8 8a5 5 0 0 1-7-7l7-7",
  sent: "M7 17L17 7M9 7h8v8",
  received: "M17 7L7 17M15 17H7V9",
  reply: "M9 7L4 12l5 5M4 12h10a6 6 0 0 1 6 6",
  forward: "M15 7l5 5-5 5M20 12H10a6 6 0 0 0-6 6",
  plus: "M12 5v14M5 12h14",
  check: "M5 13l4 4L19 7",
  warning: "M12 4l9 16H3zM12 10v4M12 17v.5",
  sync: "M4 12a8 8 0 0 1 14-5l2 2M20 4v5h-5M20 12a8 8 0 0 1-14 5l-2-2M4 20v-5h5",
  more: "M6 12h.01M12 12h.01M18 12h.01",
  back: "M15 5l-7 7 7 7",
  download: "M12 4v11M7 11l5 5 5-5M4 20h16",
  pause: "M9 5v14M15 5v14",
  play: "M7 5l11 7-11 7z",
  close: "M6 6l12 12M18 6L6 18",
  star: "M12 4l2.4 5 5.6.7-4 3.9 1 5.4-5-2.7-5 2.7 1-5.4-4-3.9 5.6-.7z",
};

/** A drawing that says nothing by itself: text stands beside it, or a label on what holds it. */
export const icon = (name) =>
  h("svg", { class: "icon", viewBox: "0 0 24 24", "aria-hidden": "true", focusable: "false" }, h("path", { d: ICONS[name] }));

/**
 * A button that does `work` once, however often it is pressed, and says what refused it. `key` names the work.
 * `kind` is primary, danger or quiet.
 */
export function act(page, key, text, work, { kind = "", drawing = null, disabled = false, label = null } = {}) {
  const isBusy = page.isBusy(key);
  return h(
    "button",
    { type: "button", class: kind, disabled: disabled || isBusy, "aria-busy": isBusy ? "true" : null, "aria-label": label, onclick: () => page.run(key, work) },
    drawing && icon(drawing), text && h("span", {}, text),
  );
}

export const link = (href, text, { kind = "", drawing = null, current = false } = {}) =>
  h("a", { href, class: kind, "aria-current": current ? "page" : null }, drawing && icon(drawing), h("span", {}, text));

export const retryButton = (text, onclick) => h("button", { type: "button", class: "primary", onclick }, text);

export const loading = () => h("p", { class: "loading", role: "status" }, h("span", { class: "spinner", "aria-hidden": "true" }), t("common.loading"));

/** The first thing on a view: its title, which is read out when it is opened, and what can be done there. */
export const heading = (title, ...actions) =>
  h("div", { class: "heading" }, h("h1", { tabindex: "-1" }, title), actions.length > 0 && h("div", { class: "actions" }, actions));

/** What a place shows where there is nothing yet, or nothing more: why, and what to do. */
export const notice = (title, text, ...actions) =>
  h("section", { class: "notice" }, h("h1", { tabindex: "-1" }, title), h("p", {}, text), h("div", { class: "actions" }, actions));

/** As `notice`, inside of a view that has a title. */
export const emptiness = (title, text, ...actions) =>
  h("div", { class: "emptiness" }, h("h2", {}, title), h("p", {}, text), h("div", { class: "actions" }, actions));

/** A word with a colour: `kind` is good, busy, bad, or nothing. */
export const badge = (text, kind = "") => h("span", { class: `badge ${kind}` }, text);

/** An instant as people say it, with the whole of it to be read. */
export const when = (instant) =>
  instant ? h("time", { datetime: instant, title: formatInstant(instant) }, formatRelative(instant)) : t("common.never");

/**
 * A cause in words: what is the matter, whose move it is, what to do. `actions` are the fix as buttons; `label` says of what,
 * `note` since when; `mild` is what mends itself.
 */
export const trouble = ({ message, acts, fix, label = null, note = null, mild = false }, ...actions) =>
  h("div", { class: mild ? "trouble mild" : "trouble", role: "group", "aria-label": label ?? message }, icon("warning"),
    h("div", {}, h("p", { class: "what" }, label && `${label}: `, message), fix && h("p", {}, fix),
      (acts || note) && h("p", { class: "acts" }, [acts && wordOf("acts", acts), note].filter(Boolean).join(" ")),
      actions.flat().some(Boolean) && h("div", { class: "actions" }, actions)));

/** What the API refused, in words. */
export function problemBox(problem, ...actions) {
  const own = !problem.message && hasText(`problem.${problem.code}`) ? problem.code : null;
  const code = own ?? (problem.message && problem.requestId ? null : "internal");
  return h("div", { class: "trouble", role: "alert" }, icon("warning"),
    h("div", {},
      h("p", { class: "what" }, code ? t(`problem.${code}`) : problem.message),
      h("p", {}, code ? t(`problem.${code}Text`) : problem.fix),
      (problem.errors ?? []).map((one) => h("p", {}, `${one.field}: ${one.message}`)),
      problem.requestId && h("p", { class: "acts" }, t("common.requestId", { id: problem.requestId })),
      actions.length > 0 && h("div", { class: "actions" }, actions)));
}

/** A labelled control. `control` is an element's description, which gets the label's id; `error` is what is wrong with its value. */
export function field(id, label, control, { hint = null, error = null } = {}) {
  const described = [hint && `${id}-hint`, error && `${id}-error`].filter(Boolean).join(" ") || null;
  Object.assign(control.props, { id, "aria-describedby": described, "aria-invalid": error ? "true" : null });
  return h("div", { class: error ? "field wrong" : "field" }, h("label", { for: id }, label), control,
    hint && h("p", { class: "hint", id: `${id}-hint` }, hint), error && h("p", { class: "error", id: `${id}-error` }, error));
}

/** An input whose value is `state[name]`. */
export const input = (page, state, name, props = {}) =>
  h("input", { name, value: state[name] ?? "", ...props, oninput: (event) => ((state[name] = event.target.value), page.changed()) });

/** A choice of `[value, text]` pairs, the chosen one being `state[name]`. */
export const select = (page, state, name, options, props = {}) =>
  h("select", { name, value: String(state[name]), ...props, onchange: (event) => ((state[name] = event.target.value), props.onchange?.(event), page.changed()) },
    options.map(([value, text]) => h("option", { value: String(value) }, text)));

export const checkbox = (page, state, name, text, props = {}) =>
  h("label", { class: "check" },
    h("input", { type: "checkbox", name, checked: Boolean(state[name]), ...props, onchange: (event) => ((state[name] = event.target.checked), page.changed()) }),
    h("span", {}, text));

/** One of several `[value, text, more]`, the chosen one being `state[name]`. */
export const radios = (page, state, name, legend, options) =>
  h("fieldset", { class: "options" }, h("legend", {}, legend), options.map(([value, text, more]) =>
    h("label", { class: "check", key: value },
      h("input", { type: "radio", name, value, checked: String(state[name]) === value, onchange: () => ((state[name] = value), page.changed()) }),
      h("span", {}, text, more && h("small", {}, more)))));

/** How far something is, in percent; null where nobody knows. */
export const progress = (percent, label) =>
  // As a text: an element without a value has the number 0 too, and would be left without one.
  h("progress", { max: "100", value: percent === null ? undefined : String(percent), "aria-label": label });

/** Links between the parts of a view: `[[href, text, isCurrent], …]`. */
export const tabs = (label, items) =>
  h("nav", { class: "tabs", "aria-label": label, ref: (nav) => nav.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest" }) },
    items.map(([href, text, current]) => h("a", { href, "aria-current": current ? "page" : null }, text)));

let pressed = null;

/**
 * A dialogue in front of the page: focus stays in it, Escape closes it. Shown as long as it is described. `submit` makes a form of it.
 */
export function dialog({ title, close, submit = null, actions = [] }, ...body) {
  const content = [h("h2", { id: "dialog-title" }, title), body, h("div", { class: "actions end" }, actions)];
  const inside = submit
    ? h("form", { onsubmit: (event) => (event.preventDefault(), submit()) }, content)
    : h("div", {}, content);
  return h("dialog", {
    key: "dialog", "aria-labelledby": "dialog-title", oncancel: (event) => (event.preventDefault(), close()),
    // A press that began inside, as one that selects text, may end beside it.
    onpointerdown: (event) => void (pressed = event.target),
    // A handler that answers false stops what a click does, such as sending the form.
    onclick: (event) => void (event.target === event.currentTarget && pressed === event.target && close()),
    ref: (element) => element.showModal(),
  }, inside);
}

/** What was refused in a dialogue, to be shown in it: what the page says stands behind it. `by(work)` does work, `render()` says. */
export function refusal(page) {
  let problem = null;
  return {
    async by(work) {
      problem = null;
      try {
        await work();
      } catch (error) {
        if (!error.code) throw error;
        problem = error;
        page.changed();
      }
    },
    clear: () => (problem = null),
    render: () => problem && problemBox(problem),
  };
}

/** What can be done besides, behind a button. */
export const menu = (label, ...items) =>
  h("details", { class: "menu" }, h("summary", { "aria-label": label }, icon("more")), h("div", { class: "sheet" }, items));

/** Menus close by a choice, by a click or focus elsewhere, and by Escape, which leads back to what opens them. */
export function closeMenus(event) {
  const target = /** @type {Element} */ (event.target);
  for (const menu of /** @type {NodeListOf<HTMLDetailsElement>} */ (document.querySelectorAll("details.menu[open]"))) {
    const isChoice = event.type === "click" && target.closest(".sheet");
    if (event.type === "keydown" ? event.key !== "Escape" : menu.contains(target) && !isChoice) continue;
    if (menu.contains(document.activeElement)) menu.querySelector("summary").focus();
    menu.open = false;
  }
}

/** Pairs of a name and what it is. */
export const facts = (pairs) =>
  h("dl", { class: "facts" }, pairs.filter(Boolean).map(([name, value]) => h("div", {}, h("dt", {}, name), h("dd", {}, value))));

/** Copy a text; answers with what came of it, in words: a frame that may not copy, or plain http, refuses. */
export async function copied(text) {
  try {
    await navigator.clipboard.writeText(text);
    return t("common.copied");
  } catch {
    return t("common.notCopied");
  }
}

/** A text to copy, and the button for it. */
export const copyable = (page, text) =>
  h("div", { class: "copyable" }, h("code", {}, text),
    h("button", { type: "button", onclick: async () => page.say(await copied(text)) }, t("common.copy")));

export const size = (bytes) => formatBytes(bytes);

/** What was said lately, for eyes and ears. */
export const toasts = (told) =>
  h("div", { class: "toasts", role: "status", "aria-live": "polite" }, told.map((one) =>
    h("div", { class: "toast", key: one.key },
      one.body ? one.body(one.close) : one.problem ? problemBox(one.problem) : h("p", {}, one.text),
      one.undo && h("button", { type: "button", onclick: () => (one.undo(), one.close()) }, t("common.undo")),
      h("button", { type: "button", class: "quiet", "aria-label": t("common.close"), onclick: one.close }, icon("close")))));
