// What is the matter with a mailbox, and the fix as a button.

import { api, quote } from "./api.js";
import { h } from "./dom.js";
import { named, mayChange, nameOf, needsHands, soon } from "./mailbox-words.js";
import { act, copied, dialog, link, trouble } from "./parts.js";
import { to } from "./router.js";
import { pageUrl } from "./session.js";
import { formatRelative, t } from "./texts.js";

// Of an active mailbox: which causes another server, port or security mends.
const SETTINGS = new Set([
  "host_not_found", "connection_failed", "connection_timed_out", "protocol_violation", "encryption_required", "tls_wrong_name",
  "tls_not_offered", "tls_failed", "login_rejected", "app_password_required",
]);

/**
 * The troubles of a mailbox, each with its fix. `help` asks an administrator (see `helpDialog`), `reload` looks at the mailbox again;
 * `isBrief` among other mailboxes.
 */
export function troubles(page, mailbox, { help, reload, isBrief = false }) {
  const { inbound, outbound, push } = mailbox.latest_error;
  // Without push mail only comes later: in a list that is news for those alone who look after the mailboxes.
  const told = !isBrief || page.me.is_admin ? push : null;
  const boxes = [["inbound", inbound], ["outbound", outbound], ["push", told]].filter(([, error]) => error);
  if (mailbox.status === "reconnect_required" && !inbound) boxes.unshift(["inbound", { message: t("mailboxes.reconnectText"), acts: "user", fix: "" }]);
  if (mailbox.status === "disconnected") return [];
  return boxes.map(([direction, error]) => box(page, mailbox, direction, error, { help, reload }));
}

function box(page, mailbox, direction, error, { help, reload }) {
  const isStopped = mailbox.status === "reconnect_required" && direction === "inbound";
  const mine = mayChange(page.me, mailbox);
  const told = { message: error.message, ...words(page, error, mine) };
  const mild = direction === "push" || (!isStopped && !needsHands(error));
  return h("div", { class: mild ? "mild-trouble" : "", key: direction },
    trouble({ ...told, label: t(`mailboxes.direction.${direction}`), mild, note: note(error, isStopped) },
      fixes(page, mailbox, error, { isStopped, mine, help, reload })));
}

/** Whose move it is and what to do, for whoever reads it; of what mends itself the fix says both. */
function words(page, { acts, fix }, mine) {
  if (acts === "user" && !mine) return { acts: null, fix: t("mailboxes.notYours") };
  if (acts === "operator" && !page.me.is_admin) return { acts, fix: null };
  return { acts: acts === "time" || acts === "provider" ? null : acts, fix };
}

function note(error, isStopped) {
  if (!error.first_seen_at) return null;
  const values = { since: formatRelative(error.first_seen_at), n: error.count };
  const said = t("mailboxes.since", values);
  return error.next_retry_at && !isStopped ? `${said} ${t("mailboxes.again", { next: soon(error.next_retry_at) })}` : said;
}

function fixes(page, mailbox, error, { isStopped, mine, help, reload }) {
  const again = to("connect", { provider: mailbox.provider, mailbox: mailbox.id });
  const ask = (text) => h("button", { type: "button", onclick: () => help.open(mailbox, error) }, text);
  if (error.acts === "operator") return [];
  if (!mine && (isStopped || needsHands(error))) return [ask(t("mailboxes.askAdmin"))];
  const asked = error.acts === "tenant_admin" && ask(page.me.is_admin ? t("mailboxes.whatToDo") : t("mailboxes.askAdmin"));
  if (isStopped) return [link(again, t("mailboxes.reconnect"), { kind: "primary" }), asked];
  if (error.code === "oauth_required") return [link(to("connect"), t("mailboxes.signInInstead"), { kind: "primary" })];
  const settings = mine && mailbox.provider === "imap" && SETTINGS.has(error.code) && link(again, t("mailboxes.changeSettings"), { kind: "button" });
  // Who is asked to slow down is not to be asked once more.
  const tryNow = error.acts !== "time" && act(page, `sync ${mailbox.id}`, t("mailboxes.tryNow"), async () => {
    await api.post(`/v1/mailboxes/${quote(mailbox.id)}/sync`);
    page.say(t("mailboxes.trying"));
    reload();
  });
  return [asked, settings, tryNow];
}

/** A dialogue with what to send to whoever can mend a mailbox: `open(mailbox, error)`, `render()`. */
export function helpDialog(page) {
  let asked = null;
  let said = "";
  const close = () => {
    asked = null;
    page.changed();
  };
  const copy = async (text) => {
    said = await copied(text);
    page.changed();
  };
  return {
    open(mailbox, error) {
      asked = { mailbox, error };
      said = "";
      page.changed();
    },
    render() {
      if (!asked) return null;
      const { mailbox, error } = asked;
      const address = `${pageUrl}${to("mailboxes", mailbox.id)}`;
      const letter = t("mailboxes.letter", { address: mailbox.address, message: error.message, code: error.code ?? "", fix: error.fix, link: address });
      const isAdmin = page.me.is_admin;
      return dialog({
        title: isAdmin ? t("mailboxes.whatToDo") : t("mailboxes.askAdmin"), close,
        actions: [
          h("button", { type: "button", class: "quiet", onclick: close }, t("common.close")),
          h("button", { type: "button", onclick: () => copy(address) }, t("mailboxes.copyLink")),
          h("button", { type: "button", class: "primary", onclick: () => copy(letter) }, t("mailboxes.copyText")),
        ],
      },
      h("p", {}, isAdmin ? t("mailboxes.adminText", { provider: named("mailboxes.provider", mailbox.provider), fix: error.fix }) : t("mailboxes.askText", { name: nameOf(mailbox) })),
      h("p", { class: "letter" }, letter),
      // What the page says stands behind a dialogue.
      h("p", { role: "status" }, said));
    },
  };
}
