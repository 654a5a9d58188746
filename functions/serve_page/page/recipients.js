// People a mail goes to: typed, pasted or chosen, each a chip that can be taken away.

import { h } from "./dom.js";
import { icon } from "./parts.js";
import { called, inFull } from "./people.js";
import { t } from "./texts.js";

const ADDRESS = /^[^\s@<>,;"]+@[^\s@<>,;"]+\.[^\s@<>,;".]+$/;
const NAMED = /^\s*"?([^"<]*?)"?\s*<([^<>]+)>\s*$/;
const ENDS = new Set(["Enter", ",", ";"]);

export const isAddress = (text) => ADDRESS.test(text);

/** The people a text names: addresses, `Name <address>`, or the names of known contacts, with commas, semicolons or lines between. */
export function people(text, contacts) {
  return text.split(/[,;\n\t]+/).map((part) => part.trim()).filter(Boolean).flatMap((part) => {
    const named = part.match(NAMED);
    if (named) return [{ address: named[2].trim(), name: named[1].trim() }];
    const known = contacts.filter((one) => one.name.toLowerCase() === part.toLowerCase() && one.addresses.length);
    if (known.length === 1) return [{ address: known[0].addresses[0], name: known[0].name }];
    const words = part.split(/\s+/);
    return words.every(isAddress) ? words.map((address) => ({ address, name: nameOf(address, contacts) })) : [{ address: part, name: "" }];
  });
}

const nameOf = (address, contacts) => contacts.find((one) => one.addresses.includes(address.toLowerCase()))?.name ?? "";

/**
 * A field of people. `draft[name]` is who they are, `typing[name]` what is being typed; `changed()` is called after each change.
 * Enter, a comma or leaving the field makes a chip of what is typed; Backspace in an empty field takes the last one away.
 */
export function recipientsField(name, draft, typing, contacts, error, changed) {
  const id = `recipients-${name}`;
  const input = () => /** @type {HTMLInputElement} */ (document.getElementById(id));
  const set = (list) => {
    draft[name] = list;
    changed();
  };
  const take = () => {
    const added = people(typing[name] ?? "", contacts).filter((one) => !draft[name].some((it) => it.address === one.address));
    typing[name] = "";
    // Who types fast is at the next one before the page is drawn again.
    input().value = "";
    set([...draft[name], ...added]);
  };
  const remove = (one) => {
    set(draft[name].filter((it) => it !== one));
    input().focus();
  };
  const onkeydown = (event) => {
    if (ENDS.has(event.key) && event.target.value.trim()) {
      event.preventDefault();
      take();
    } else if (event.key === "Enter") event.preventDefault();
    else if (event.key === "Backspace" && !event.target.value && draft[name].length) remove(draft[name].at(-1));
  };
  const onpaste = (event) => {
    const text = event.clipboardData.getData("text");
    if (!/[,;\n<@]/.test(text)) return;
    event.preventDefault();
    typing[name] = `${typing[name] ?? ""}${text}`;
    take();
  };
  const wrong = draft[name].filter((one) => !isAddress(one.address));
  const told = wrong.length ? t("compose.notAddresses", { addresses: wrong.map((one) => one.address).join(", ") }) : error;
  return h("div", { class: told ? "field wrong" : "field", key: name },
    h("label", { for: id }, t(`compose.${name}`)),
    h("div", { class: "chips" },
      draft[name].length > 0 && h("ul", { "aria-label": t("compose.chosen", { field: t(`compose.${name}`) }) }, draft[name].map((one) =>
        h("li", { key: one.address, class: isAddress(one.address) ? "chip" : "chip bad", title: inFull(one) },
          h("span", {}, called(one)),
          h("button", { type: "button", class: "quiet", "aria-label": t("compose.remove", { name: inFull(one) }), onclick: () => remove(one) }, icon("close"))))),
      h("input", {
        id, value: typing[name] ?? "", list: "known-addresses", inputmode: "email", autocomplete: "off", autocapitalize: "off", spellcheck: "false",
        "aria-describedby": [`${id}-hint`, told && `${id}-error`].filter(Boolean).join(" "), "aria-invalid": told ? "true" : null,
        oninput: (event) => {
          typing[name] = event.target.value;
          changed();
        }, onkeydown, onpaste, onblur: () => typing[name]?.trim() && take(),
      })),
    h("p", { class: name === "to" ? "hint" : "visually-hidden", id: `${id}-hint` }, t("compose.recipientsHint")),
    told && h("p", { class: "error", id: `${id}-error` }, told));
}

/** Contacts' addresses for the fields to offer. */
export const knownAddresses = (contacts) =>
  h("datalist", { id: "known-addresses" }, contacts.flatMap((one) => one.addresses.map((address) => h("option", { value: address }, one.name))));
