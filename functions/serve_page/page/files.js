// Files on their way to be attached: announced with what they are, then put where the API says.

import { api, newKey, upload } from "./api.js";
import { h } from "./dom.js";
import { icon, problemBox, progress, size } from "./parts.js";
import { formatBytes, t } from "./texts.js";

const MOST_BYTES = 18_874_368;

/** The files of a draft: those that are there are in `draft.files`; `isBusy()` while others are on their way. */
export function attaching(page, draft, changed) {
  let coming = [];

  function add(files) {
    for (const file of files) {
      const one = { key: newKey(), name: file.name, size: file.size, share: 0, problem: null };
      coming.push(one);
      send(one, file);
    }
    page.changed();
  }

  async function send(one, file) {
    try {
      if (!file.size) throw wrong(t("compose.emptyFile"));
      if (file.size > MOST_BYTES) throw wrong(t("compose.largeFile", { most: formatBytes(MOST_BYTES) }));
      const content = await file.arrayBuffer().catch(() => {
        throw wrong(t("compose.unreadableFile"));
      });
      const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", content));
      const sha256 = [...digest].map((byte) => byte.toString(16).padStart(2, "0")).join("");
      const place = await api.post("/v1/uploads", { filename: file.name, content_type: file.type || "application/octet-stream", size: file.size, sha256 });
      await upload(place, new Blob([content]), (share) => {
        one.share = share;
        page.changed();
      });
      if (!coming.includes(one)) return;
      drop(one);
      draft.files.push({ upload_id: place.upload_id, filename: file.name, size: file.size });
      changed();
    } catch (problem) {
      one.problem = problem;
      page.changed();
    }
  }

  function drop(one) {
    coming = coming.filter((it) => it !== one);
    page.changed();
  }

  function remove(file) {
    draft.files = draft.files.filter((it) => it !== file);
    changed();
    document.getElementById("attach").focus();
  }

  const removeButton = (name, onclick) =>
    h("button", { type: "button", class: "quiet", "aria-label": t("compose.remove", { name }), onclick }, icon("close"));

  function render() {
    return h("section", { class: "attachments", "aria-label": t("thread.attachments") },
      h("label", { class: "button attach" },
        h("input", { id: "attach", type: "file", multiple: true, class: "visually-hidden", onchange: (event) => {
          add([...event.target.files]);
          // The same file may be chosen again after it was taken away.
          event.target.value = "";
        } }),
        icon("paperclip"), h("span", {}, t("compose.attach"))),
      (draft.files.length > 0 || coming.length > 0) && h("ul", {},
        draft.files.map((one) => h("li", { key: one.upload_id }, icon("paperclip"),
          h("span", { class: "grow" }, one.filename, h("small", {}, size(one.size))), removeButton(one.filename, () => remove(one)))),
        coming.map((one) => h("li", { key: one.key }, icon("paperclip"),
          h("span", { class: "grow" }, one.name, h("small", {}, size(one.size))),
          !one.problem && progress(Math.round(one.share * 100), t("compose.uploading", { name: one.name })),
          removeButton(one.name, () => drop(one)),
          one.problem && (one.problem.isOurs ? h("p", { class: "error" }, one.problem.message) : problemBox(one.problem))))));
  }

  return { add, render, isBusy: () => coming.some((one) => !one.problem), hasFailed: () => coming.some((one) => one.problem) };
}

const wrong = (message) => Object.assign(new Error(message), { isOurs: true });
