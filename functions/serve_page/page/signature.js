// What stands below all that the person sends, whichever mailbox it goes from.

import { api } from "./api.js";
import { h } from "./dom.js";
import { act, field, loading, problemBox, retryButton } from "./parts.js";
import { t } from "./texts.js";

const LONGEST = 2_000;

export function signature(page) {
  let kept = null;
  let state = null;
  let problem = null;

  async function load() {
    try {
      take(await api.get("/v1/signature"));
      problem = null;
    } catch (error) {
      problem = error;
    }
    page.changed();
  }

  function take(found) {
    kept = { text: found.text, html: found.html ?? "" };
    state = { ...kept };
  }

  async function save() {
    const isEmpty = !state.text.trim() && !state.html.trim();
    if (isEmpty) {
      await api.delete("/v1/signature");
      take({ text: "", html: null });
    } else take(await api.put("/v1/signature", { text: state.text, html: state.html.trim() || null }));
    page.say(t(isEmpty ? "signature.removed" : "common.saved"));
  }

  const typed = (name, props) =>
    h("textarea", { value: state[name], ...props, oninput: (event) => ((state[name] = event.target.value), page.changed()) });

  function render() {
    const isChanged = kept && (state.text !== kept.text || state.html !== kept.html);
    return h("section", { class: "card", key: "signature" }, h("h2", {}, t("signature.title")), h("p", { class: "muted" }, t("signature.text")),
      problem ? problemBox(problem, retryButton(t("common.retry"), load)) : !kept ? loading() : [
        field("signature-text", t("signature.plain"), typed("text", { maxlength: String(LONGEST) })),
        h("details", {}, h("summary", {}, t("signature.more")),
          field("signature-html", t("signature.html"), typed("html", { spellcheck: "false" }), { hint: t("signature.hint") })),
        h("div", { class: "actions" }, act(page, "signature", t("signature.save"), save, { disabled: !isChanged })),
      ]);
  }

  load();
  return { render };
}
