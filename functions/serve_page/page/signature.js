// What stands below all that the person sends, whichever mailbox it goes from.

import { api } from "./api.js";
import { h } from "./dom.js";
import { act, field, loading, problemBox, retryButton } from "./parts.js";
import { t } from "./texts.js";
import { follow, typed } from "./typed.js";

const LONGEST = 2_000;

export function signature(page) {
  const state = typed("signature", () => ({ kept: null, form: null }));
  let isRead = false;
  let problem = null;

  async function load() {
    try {
      take(await api.get("/v1/signature"), state.kept);
      isRead = true;
      problem = null;
    } catch (error) {
      problem = error;
    }
    page.changed();
  }

  /** It is another now; what was typed since it was `was` stays. */
  function take(found, was) {
    state.kept = { text: found.text, html: found.html ?? "" };
    if (was) follow(state.form, was, state.kept);
    else state.form = { ...state.kept };
  }

  async function save() {
    const sent = { ...state.form };
    const isEmpty = !sent.text.trim() && !sent.html.trim();
    if (isEmpty) {
      await api.delete("/v1/signature");
      take({ text: "", html: null }, sent);
    } else take(await api.put("/v1/signature", { text: sent.text, html: sent.html.trim() || null }), sent);
    page.say(t(isEmpty ? "signature.removed" : "common.saved"));
  }

  const area = (name, props) =>
    h("textarea", { value: state.form[name], ...props, oninput: (event) => ((state.form[name] = event.target.value), page.changed()) });

  function render() {
    const isChanged = isRead && (state.form.text !== state.kept.text || state.form.html !== state.kept.html);
    return h("section", { class: "card", key: "signature" }, h("h2", {}, t("signature.title")), h("p", { class: "muted" }, t("signature.text")),
      problem ? problemBox(problem, retryButton(t("common.retry"), load)) : !isRead ? loading() : [
        field("signature-text", t("signature.plain"), area("text", { maxlength: String(LONGEST) })),
        h("details", {}, h("summary", {}, t("signature.more")),
          field("signature-html", t("signature.html"), area("html", { spellcheck: "false" }), { hint: t("signature.hint") })),
        h("div", { class: "actions" }, act(page, "signature", t("signature.save"), save, { disabled: !isChanged })),
      ]);
  }

  load();
  return { render };
}
