// A stranger's HTML, in a frame that can neither run nor load anything but what its policy lets it: infra/api.md, "Showing a message".

import { h } from "./dom.js";

// The one place where text becomes markup; the page's policy admits no other. Markup in here is the API's, made safe there.
const policy = globalThis.trustedTypes?.createPolicy("mail", { createHTML: (markup) => markup });
const BODY = "margin:0;padding:12px 16px;font:16px/1.5 system-ui,sans-serif;color:#1a2029;background:#fff;overflow-wrap:anywhere";
const documents = new WeakMap();
const LINE_REM = 1.5;
const GAP_REM = .75;
const PICTURE_REM = 8;
const MARGIN_REM = 3;
const LEAST_REM = 8;
const MOST_REM = 36;

/**
 * The frame of a message with HTML. Its height is a guess by how long the text is, since nobody can look into it: it scrolls by
 * itself and can be pulled longer. A frame is made anew with each document: what a sandbox forbids is settled as it loads.
 */
export function mailFrame(message, title, isTall) {
  return h("div", { class: isTall ? "mail-frame tall" : "mail-frame", key: `frame ${message.id} ${message.blocked_images}`,
    ref: (element) => element.style.setProperty("--guess", `${guess(message)}rem`) },
    h("iframe", { title, sandbox: "allow-popups allow-popups-to-escape-sandbox", referrerpolicy: "no-referrer", srcdoc: documentOf(message) }));
}

function documentOf(message) {
  if (!documents.has(message)) {
    const markup = `<!doctype html><meta charset="utf-8"><meta http-equiv="Content-Security-Policy" content="${message.content_security_policy}">
      <base target="_blank"><body style="${BODY}">${message.html}`;
    documents.set(message, policy ? policy.createHTML(markup) : markup);
  }
  return documents.get(message);
}

function guess(message) {
  const lines = [message.text, message.signature].join("\n").trim().split("\n");
  const height = lines.reduce((sum, line) => sum + (line.trim() ? Math.ceil(line.length / 80) * LINE_REM : GAP_REM), 0);
  const pictures = (message.html.match(/<img/g) ?? []).length;
  return Math.min(MOST_REM, Math.max(LEAST_REM, height + pictures * PICTURE_REM + MARGIN_REM));
}
