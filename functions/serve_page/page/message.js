// One message as it is read: who, when, what it says, what came along.

import { api, quote } from "./api.js";
import { h } from "./dom.js";
import { mailFrame } from "./mail-frame.js";
import { act, badge, icon, loading, problemBox, retryButton, size } from "./parts.js";
import { called, inFull } from "./people.js";
import { to } from "./router.js";
import { formatDay, formatInstant, hasText, t, wordOf } from "./texts.js";

const WEB = /\bhttps?:\/\/[^\s<>"']+[^\s<>"'.,;:!?)\]]/g;

/** A message that is being read: its body is asked for once. `problem` is why it is not there. */
export function reading(page, id) {
  const state = { id, whole: null, problem: null, isText: false, isTall: false, load };
  async function load(pictures = false) {
    try {
      state.whole = await api.get(`/v1/messages/${quote(id)}`, pictures ? { remote_images: true } : {});
      state.problem = null;
    } catch (problem) {
      if (pictures) throw problem;
      state.problem = problem;
    }
    page.changed();
  }
  load();
  return state;
}

/** Everything below a message's head. */
export function messageBody(page, state) {
  const { whole } = state;
  if (state.problem) return problemBox(state.problem, retryButton(t("common.retry"), () => state.load()));
  if (!whole) return loading();
  const envelope = h("dl", { class: "envelope" }, line("from", whole.from), line("to", whole.to), line("cc", whole.cc),
    h("div", {}, h("dt", {}, t("thread.date")), h("dd", {}, formatInstant(whole.sent_at))));
  if (whole.access !== "full") return [envelope, h("p", { class: "hint" }, wordOf("conversations.access", whole.access))];
  const isFramed = whole.html !== null && !state.isText;
  return [
    envelope,
    whole.calendar && invitation(whole.calendar),
    whole.deliveries.length > 0 && deliveries(whole),
    whole.kinds.includes("encrypted") && h("p", { class: "hint" }, t("thread.encrypted")),
    whole.html !== null && toolbar(page, state),
    isFramed ? mailFrame(whole, t("thread.frame", { from: whole.from.map(called).join(", ") }), state.isTall) : plain(whole),
    whole.cut && h("p", { class: "hint" }, t("thread.cut")),
    whole.attachments.length > 0 && attachments(page, whole),
  ];
}

const line = (name, people) =>
  people.length > 0 && h("div", {}, h("dt", {}, t(`thread.${name}`)), h("dd", {}, people.map(inFull).join(", ")));

function toolbar(page, state) {
  const { whole } = state;
  const toggle = (name) => () => {
    state[name] = !state[name];
    page.changed();
  };
  return h("div", { class: "row reading-tools" },
    !state.isText && whole.blocked_images > 0 && [
      act(page, `pictures ${state.id}`, t("thread.showPictures", { n: whole.blocked_images }), () => state.load(true), { label: null }),
      h("p", { class: "hint grow" }, t("thread.picturesText")),
    ],
    h("button", { type: "button", class: "link", onclick: toggle("isText") }, t(state.isText ? "thread.asHtml" : "thread.asText")),
    !state.isText && h("button", { type: "button", class: "link", "aria-pressed": String(state.isTall), onclick: toggle("isTall") }, t("thread.taller")));
}

function plain(whole) {
  if (!whole.text && !whole.signature && !whole.quoted_text) return h("p", { class: "hint" }, t(whole.cut ? "thread.tooLarge" : "thread.saysNothing"));
  return h("div", { class: "words" },
    whole.text && h("div", { dir: "auto" }, withLinks(whole.text.trimEnd())),
    whole.signature && h("div", { class: "muted", dir: "auto" }, withLinks(whole.signature.trimEnd())),
    whole.quoted_text && h("details", {}, h("summary", {}, t("thread.quoted")), h("div", { class: "muted", dir: "auto" }, withLinks(whole.quoted_text.trimEnd()))));
}

/** A text of strangers with its addresses of the web as links; all of it stays text. */
function withLinks(text) {
  const parts = [];
  let at = 0;
  for (const found of text.matchAll(WEB)) {
    parts.push(text.slice(at, found.index), h("a", { href: found[0], target: "_blank", rel: "noopener noreferrer" }, found[0]));
    at = found.index + found[0].length;
  }
  return [...parts, text.slice(at)];
}

function attachments(page, whole) {
  return h("section", { class: "attachments", "aria-label": t("thread.attachments") },
    h("h2", {}, t("thread.attachmentsNumber", { n: whole.attachments.length })),
    h("ul", {}, whole.attachments.map((one) => h("li", { key: one.n },
      icon("paperclip"), h("span", { class: "grow" }, one.filename || t("thread.noFilename"), h("small", {}, size(one.size))),
      one.missing
        ? h("p", { class: "hint" }, hasText(`thread.missing.${one.missing}`) ? t(`thread.missing.${one.missing}`) : t("thread.missingContent"))
        : act(page, `attachment ${whole.id} ${one.n}`, t("thread.download"), () => download(whole, one),
          { drawing: "download", kind: "quiet", label: t("thread.downloadFile", { name: one.filename || t("thread.noFilename") }) })))));
}

/** The link works for five minutes, so that it is asked for when somebody wants the file. */
async function download(whole, one) {
  const { url } = await api.get(`/v1/messages/${quote(whole.id)}/attachments/${one.n}`);
  const link = document.createElement("a");
  Object.assign(link, { href: url, target: "_blank", rel: "noopener noreferrer" });
  link.click();
}

function invitation(entry) {
  return h("div", { class: "enclosed" },
    badge(wordOf("thread.invitation", entry.method ?? "publish"), entry.method === "cancel" ? "bad" : "busy"),
    h("p", { class: "what" }, entry.summary || t("thread.noSummary")),
    entry.starts && h("p", {}, t(entry.ends ? "thread.fromUntil" : "thread.at", { starts: moment(entry.starts), ends: entry.ends ? moment(entry.ends) : "" }),
      entry.repeats && ` · ${t("thread.repeats")}`),
    entry.location && h("p", {}, t("thread.where", { location: entry.location })),
    entry.organizer && h("p", { class: "muted" }, t("thread.organizer", { organizer: entry.organizer.replace(/^mailto:/i, "") })),
    h("p", { class: "hint" }, t("thread.invitationText")));
}

function moment({ at, local, time_zone: zone }) {
  if (at) return formatInstant(at);
  const isDay = !local.includes("T") && !local.includes(":");
  return isDay ? formatDay(`${local}T00:00`) : [formatInstant(local), zone].filter(Boolean).join(" ");
}

function deliveries(whole) {
  return h("div", { class: "enclosed" },
    h("ul", { class: "stack tight" }, whole.deliveries.map((one) => h("li", {},
      h("p", {}, badge(wordOf("thread.delivery", one.action), one.action === "failed" ? "bad" : one.action === "delayed" ? "busy" : "good"), " ", one.recipient,
        one.status && h("small", {}, ` ${one.status}`)),
      one.said && h("p", { class: "hint" }, t("thread.serverSaid", { said: one.said }))))),
    whole.about && whole.about.thread_id !== whole.thread_id && h("p", {}, h("a", { href: to("threads", whole.about.thread_id) }, t("thread.aboutMail"))));
}
