// A search as a line of text, and as fields beside it: each is made of the other, so that using one teaches the other.

import { h } from "./dom.js";
import { field, icon } from "./parts.js";
import { t } from "./texts.js";

const FIELDS = ["from", "to", "since", "until", "in", "folder"];
const WORD = /(?:(\w+):)?(?:"([^"]*)"?|(\S+))/g;
const DATE = /^\d{4}-\d\d-\d\d$/;

/**
 * What a line of text asks for: `{subject, from, to, since, until, in, folder}`, each a text.
 * @returns {Record<string, string>}
 */
export function parse(line) {
  const asked = /** @type {Record<string, string>} */ ({});
  const words = [];
  for (const [whole, name, quoted, plain] of line.matchAll(WORD)) {
    if (FIELDS.includes(name?.toLowerCase())) asked[name.toLowerCase()] = quoted ?? plain ?? "";
    else words.push(quoted !== undefined && !name ? quoted : whole);
  }
  return { ...asked, subject: words.join(" ") };
}

/** The line of text that asks for this. */
export function write(asked) {
  const parts = FIELDS.filter((name) => asked[name]).map((name) => `${name}:${/\s/.test(asked[name]) ? `"${asked[name]}"` : asked[name]}`);
  return [asked.subject, ...parts].filter(Boolean).join(" ");
}

/**
 * What the API is to be asked, and what cannot be: `{query, wrong: {field: text}}`. `known` has `boxes`, `contacts` and
 * `folders(mailbox_id)`, which may be null while they are not known.
 */
export function toQuery(asked, known) {
  const wrong = {};
  const query = { subject: asked.subject };
  for (const name of ["from", "to"]) {
    if (!asked[name]) continue;
    query[name] = addressOf(asked[name], known.contacts);
    if (!query[name]) wrong[name] = t("conversations.wholeAddress");
  }
  for (const name of ["since", "until"]) {
    if (!asked[name]) continue;
    const day = DATE.test(asked[name]) ? new Date(`${asked[name]}T00:00`) : new Date(NaN);
    if (Number.isNaN(day.getTime())) wrong[name] = t("conversations.wrongDate");
    else {
      // A day that is named is meant with its evening; the API's end is exclusive.
      if (name === "until") day.setDate(day.getDate() + 1);
      query[name] = day.toISOString();
    }
  }
  if (asked.since && asked.until && !wrong.since && !wrong.until && asked.since > asked.until) wrong.until = t("conversations.wrongOrder");
  const box = asked.in ? known.boxes.find((one) => one.address.toLowerCase().includes(asked.in.toLowerCase())) : null;
  if (asked.in && !box) wrong.in = t("conversations.noSuchMailbox");
  const within = box ?? (asked.folder && known.boxes.length === 1 ? known.boxes[0] : null);
  if (within) query.mailbox_id = within.id;
  if (asked.folder) {
    const folder = within && (known.folders(within.id) ?? []).find((one) => [one.name, one.role].some((name) => name.toLowerCase() === asked.folder.toLowerCase()));
    if (folder) query.folder = folder.id;
    else if (!within) wrong.folder = t("conversations.folderNeedsMailbox");
    else if (known.folders(within.id)) wrong.folder = t("conversations.noSuchFolder");
  }
  return { query, wrong };
}

/** Whether a text names somebody by what they are called; else it is an address, or nobody. */
export const isName = (text) => Boolean(text) && !/^[^\s@]+@[^\s@]+$/.test(text);

/** A whole address is taken as it is; a name, where one contact alone is called so. */
function addressOf(text, contacts) {
  if (!isName(text)) return text;
  const found = contacts.filter((one) => one.addresses.length && one.name.toLowerCase().includes(text.toLowerCase()));
  return found.length === 1 ? found[0].addresses[0] : null;
}

/** The box, and the fields beside it. `state` has `line` and `isNarrow`; `wrong` what cannot be asked; `submit` asks. */
export function searchForm(page, state, known, wrong, submit) {
  const asked = parse(state.line);
  const put = (name) => (event) => {
    state.line = write({ ...parse(state.line), [name]: event.target.value });
    if (name === "in") known.folders(boxCalled(event.target.value, known)?.id);
    page.changed();
  };
  const text = (name, props = {}) =>
    field(`search-${name}`, t(`conversations.fields.${name}`), h("input", { value: props.type === "date" && !DATE.test(asked[name]) ? "" : asked[name] ?? "", oninput: put(name), ...props }), { error: wrong[name] });
  const choice = (name, options) =>
    field(`search-${name}`, t(`conversations.fields.${name}`),
      h("select", { value: asked[name] ?? "", onchange: put(name) }, [["", t("conversations.any")], ...options].map(([value, shown]) => h("option", { value }, shown))),
      { error: wrong[name] });
  const box = boxCalled(asked.in, known) ?? (known.boxes.length === 1 ? known.boxes[0] : null);
  const isWrong = Object.keys(wrong).length > 0;
  return h("form", { class: "search", role: "search", onsubmit: (event) => (event.preventDefault(), submit()) },
    h("div", { class: "line" },
      h("label", { class: "visually-hidden", for: "search-line" }, t("conversations.searchLabel")),
      h("input", { id: "search-line", type: "search", value: state.line, placeholder: t("conversations.searchPlaceholder"), autocomplete: "off",
        "aria-describedby": "search-hint", oninput: (event) => ((state.line = event.target.value), page.changed()) }),
      h("button", { type: "submit" }, icon("search"), h("span", {}, t("conversations.search")))),
    h("details", { open: state.isNarrow || isWrong, ontoggle: (event) => ((state.isNarrow = event.target.open), page.changed()) },
      h("summary", {}, t("conversations.narrow")),
      h("div", { class: "stack" },
        h("div", { class: "fields" },
          text("subject"), text("from", { list: "known-addresses", inputmode: "email" }), text("to", { list: "known-addresses", inputmode: "email" }),
          text("since", { type: "date" }), text("until", { type: "date" }),
          choice("in", known.boxes.map((one) => [one.address, one.address])),
          box && choice("folder", (known.folders(box.id) ?? []).filter((one) => one.active).map((one) => [one.name, one.name]))),
        h("p", { class: "hint", id: "search-hint" }, t("conversations.searchHint")),
        h("div", { class: "actions" }, h("button", { type: "submit", class: "primary" }, t("conversations.search"))))),
    h("datalist", { id: "known-addresses" }, known.contacts.flatMap((one) => one.addresses.map((address) => h("option", { value: address }, one.name)))));
}

const boxCalled = (address, known) => (address ? known.boxes.find((one) => one.address.toLowerCase().includes(address.toLowerCase())) : null);
