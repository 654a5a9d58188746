// Further addresses a mailbox's mail may be sent from. A test message that comes back says that one is the mailbox's own.

import { api, quote } from "./api.js";
import { h } from "./dom.js";
import { readsMail } from "./mailbox-words.js";
import { act, badge, field, input } from "./parts.js";
import { testMessage } from "./test-message.js";
import { t } from "./texts.js";
import { typed } from "./typed.js";

export function aliases(page, id, reload) {
  const test = testMessage(page, id, reload);
  const state = typed(`alias ${id}`, () => ({ address: "", name: "" }));
  let error = null;

  async function add() {
    error = null;
    try {
      await api.post(`/v1/mailboxes/${quote(id)}/aliases`, { address: state.address.trim(), display_name: state.name.trim() });
    } catch (problem) {
      if (!problem.errors?.length) throw problem;
      error = problem.errors.map((one) => one.message).join(" ");
      return;
    }
    state.address = state.name = "";
    page.say(t("aliases.added"));
    reload();
  }

  async function remove(address) {
    await api.delete(`/v1/mailboxes/${quote(id)}/aliases/${quote(address)}`);
    page.say(t("aliases.removed", { address }));
    reload();
  }

  function render(mailbox, mine) {
    if (!mine && !mailbox.aliases.length) return null;
    const sends = readsMail(page.me, mailbox) && mailbox.status === "active";
    return h("section", { class: "card", key: "aliases" }, h("h2", {}, t("aliases.title")), h("p", { class: "muted" }, t("aliases.text")),
      mailbox.aliases.length > 0 && h("ul", { class: "stack tight" }, mailbox.aliases.map((one) => row(one, mine, sends))),
      test.render(),
      mine && h("form", { class: "stack tight", novalidate: true, onsubmit: (event) => (event.preventDefault(), state.address.trim() && page.run(`alias ${id}`, add)) },
        h("div", { class: "fields" },
          field("alias-address", t("aliases.address"), input(page, state, "address", { type: "email", autocomplete: "off" }), { error }),
          field("alias-name", `${t("aliases.name")} (${t("common.optional")})`, input(page, state, "name", { autocomplete: "off", maxlength: "200" }))),
        h("div", { class: "actions" }, h("button", { type: "submit", disabled: !state.address.trim() || page.isBusy(`alias ${id}`) }, t("aliases.add")))));
  }

  const row = ({ address, display_name: name, verified_at: verified }, mine, sends) =>
    h("li", { key: address, class: "row between" },
      h("p", { class: "grow" }, name ? `${name} <${address}>` : address, " ", verified ? badge(t("aliases.verified"), "good") : badge(t("aliases.unverified"), "busy")),
      h("div", { class: "actions" },
        !verified && sends && act(page, `verify ${address}`, t("aliases.verify"), () => test.start(address), { label: t("aliases.verifyOf", { address }), disabled: test.isUnderWay() }),
        mine && act(page, `unalias ${address}`, t("aliases.remove"), () => remove(address), { kind: "quiet", label: t("aliases.removeOf", { address }) })));

  return { render, close: test.close };
}
