// Columns by category, stacked by series: drawn for the width there is, told in a sentence, and given as a table.

import { h } from "./dom.js";
import { formatNumber, t } from "./texts.js";

const HEIGHT = 14;
const LINES = 4;
const SOME_WIDTH = 640;

/** How wide a chart may be: `ref` goes onto what holds it, and the view is drawn again when `width` is another. */
export function ruler(page) {
  const seen = new ResizeObserver(([entry]) => {
    const width = Math.floor(entry.contentRect.width);
    if (!width || width === measured.width) return;
    measured.width = width;
    page.changed();
  });
  const measured = { width: SOME_WIDTH, ref: (element) => seen.observe(element), close: () => seen.disconnect() };
  return measured;
}

/**
 * A chart of `rows`, each `{label, short, below, values}`: a number for each of `series`, null where it is not known. `short` stands on the
 * axis as far as there is room, `below` in a second line. `series` are `{name, kind}`; `axes` are the names of both axes, `summary` says in
 * a sentence what is to be seen. `figures`: whether each column has its number on top.
 */
export function chart(id, measured, { summary, series, rows, axes, figures = false }) {
  return h("figure", { class: "chart", key: id },
    h("figcaption", { id: `${id}-summary` }, summary),
    h("ul", { class: "row keys" }, series.map(({ name, kind }) => h("li", {}, swatch(kind), name))),
    h("div", { class: "drawing", ref: measured.ref }, drawing(id, measured.width, { series, rows, axes, figures })),
    h("details", {}, h("summary", {}, t("operations.asTable")), table({ series, rows, axes, summary })));
}

const swatch = (kind) => h("svg", { class: "swatch", viewBox: "0 0 16 16", "aria-hidden": "true" }, hatching(`swatch-${kind}`, kind), column(`swatch-${kind}`, kind, 1, 1, 14, 14));

function table({ series, rows, axes, summary }) {
  return h("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": summary },
    h("table", {},
      h("thead", {}, h("tr", {}, h("th", { scope: "col" }, axes.across), series.map(({ name }) => h("th", { scope: "col", class: "number" }, name)))),
      h("tbody", {}, rows.map(({ label, values }) =>
        h("tr", {}, h("th", { scope: "row" }, label), values.map((one) => h("td", { class: "number" }, one === null ? t("common.unknown") : formatNumber(one))))))));
}

function drawing(id, width, { series, rows, axes, figures }) {
  const em = parseFloat(getComputedStyle(document.documentElement).fontSize);
  const totals = rows.map(({ values }) => values.reduce((all, one) => all + (one ?? 0), 0));
  const lines = scale(Math.max(...totals));
  const most = lines.at(-1);
  const at = { left: em * (0.75 + 0.55 * formatNumber(most).length), top: em * 2.25, bottom: em * (HEIGHT - 3.75), right: width - em * 0.25 };
  const step = (at.right - at.left) / rows.length;
  const wide = Math.max(1, Math.min(step * 0.72, em * 4));
  const y = (number) => at.bottom - (number / most) * (at.bottom - at.top);
  const longest = Math.max(...rows.map(({ short }) => short.length));
  const every = Math.max(1, Math.ceil((em * (0.5 * longest + 0.75)) / step));
  return h("svg", { viewBox: `0 0 ${width} ${em * HEIGHT}`, width, height: em * HEIGHT, role: "img", "aria-labelledby": `${id}-summary` },
    series.map(({ kind }) => hatching(`${id}-${kind}`, kind)),
    h("text", { x: 0, y: em }, axes.up),
    lines.map((number) => [
      h("path", { class: number ? "line" : "line base", d: `M${at.left} ${y(number)}H${at.right}` }),
      h("text", { x: at.left - em * 0.4, y: y(number) + em * 0.28, "text-anchor": "end" }, formatNumber(number)),
    ]),
    rows.map((row, n) => {
      const middle = at.left + step * (n + 0.5);
      let foot = 0;
      return [
        h("g", {}, h("title", {}, `${row.label}: ${said(series, row.values)}`),
          h("rect", { class: "reach", x: at.left + step * n, y: at.top, width: step, height: at.bottom - at.top }),
          row.values.map((value, which) => {
            if (!value) return null;
            const top = y((foot += value));
            return column(`${id}-${series[which].kind}`, series[which].kind, middle - wide / 2, top, wide, y(foot - value) - top);
          })),
        figures && h("text", { class: "figure", x: middle, y: y(totals[n]) - em * 0.4, "text-anchor": "middle" }, formatNumber(totals[n])),
        n % every === 0 && h("text", { x: middle, y: at.bottom + em * 1.1, "text-anchor": "middle" }, row.short),
        row.below && h("text", { x: Math.min(middle, at.right - em * 0.28 * row.below.length), y: at.bottom + em * 2.2, "text-anchor": "middle" }, row.below),
      ];
    }),
    h("text", { x: (at.left + at.right) / 2, y: em * (HEIGHT - 0.4), "text-anchor": "middle" }, axes.across));
}

const said = (series, values) => values.map((value, n) => `${series[n].name} ${value === null ? t("common.unknown") : formatNumber(value)}`).join(", ");

/** Series differ in more than their colour: of two, one is hatched. */
const hatching = (id, kind) =>
  h("pattern", { id, width: 6, height: 6, patternUnits: "userSpaceOnUse", patternTransform: "rotate(45)" },
    h("rect", { class: `ground ${kind}`, width: 6, height: 6 }), h("rect", { class: `hatch ${kind}`, width: 3, height: 6 }));

const column = (id, kind, x, y, width, height) => h("rect", { class: `column ${kind}`, fill: `url(#${id})`, x, y, width, height: Math.max(height, 1) });

/** Round numbers from 0 to at least `most`. */
export function scale(most) {
  const rough = Math.max(most, 1) / LINES;
  const size = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(1, [1, 2, 5, 10].map((one) => one * size).find((one) => one >= rough));
  return Array.from({ length: Math.ceil(Math.max(most, 1) / step) + 1 }, (_, n) => n * step);
}
