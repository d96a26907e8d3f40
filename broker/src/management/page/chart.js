// A line chart of times and values, drawn as SVG.

import { h, s, show } from "./dom.js";

const HEIGHT = 150;
const LEFT = 68;
const BOTTOM = 18;

// A round number that is not below the value; of bytes one that is round in KiB, MiB, ...
function top(value, base) {
  if (value <= 0) return 1;
  const unit = base ** Math.max(0, Math.floor(Math.log(value) / Math.log(base)));
  const power = unit * 10 ** Math.floor(Math.log10(value / unit));
  return [1, 2, 2.5, 5, 10].map((n) => n * power).find((n) => n >= value) ?? unit * base;
}

// series: [{ name, values }], times in milliseconds; format gives the labels, whose units are powers of base.
export function chart(el, times, series, format, base = 1000) {
  const WIDTH = Math.max(260, el.clientWidth || 600);
  const shown = series.filter((one) => one.values.length);
  const highest = top(Math.max(0, ...shown.flatMap((one) => one.values)), base);
  const from = times[0] || 0;
  const to = Math.max(times.at(-1) || 1, from + 1);
  const x = (at) => LEFT + ((at - from) / (to - from)) * (WIDTH - LEFT - 6);
  const y = (value) => 6 + (1 - value / highest) * (HEIGHT - BOTTOM - 8);
  // counts of one or two have no half between them
  const half = format(highest / 2);
  const rounded = !Number.isInteger(highest / 2) && half === String(Math.round(highest / 2));
  const marks = half === format(highest) || rounded ? [0, 1] : [0, 0.5, 1];
  const grid = marks.map((part) => [
    s("line", { class: "axis", x1: LEFT, x2: WIDTH - 6, y1: y(highest * part), y2: y(highest * part) }),
    s("text", { x: LEFT - 6, y: y(highest * part) + 4, "text-anchor": "end" }, format(highest * part)),
  ]);
  const ago = Math.round((to - from) / 1000);
  const label = ago >= 120 ? `${Math.round(ago / 60)} min ago` : `${ago} s ago`;
  const lines = shown.map((one, i) => {
    const offset = times.length - one.values.length;
    const points = one.values.map((value, k) => `${x(times[k + offset]).toFixed(1)},${y(value).toFixed(1)}`);
    if (points.length === 1) points.push(`${WIDTH - 6},${y(one.values[0]).toFixed(1)}`);
    return s("polyline", { class: `line s${i + 1}`, points: points.join(" ") });
  });
  const picture = s("svg", { class: "chart", viewBox: `0 0 ${WIDTH} ${HEIGHT}`, preserveAspectRatio: "none", role: "img", "aria-label": shown.map((one) => one.name).join(", ") },
    grid, lines,
    ago > 0 && s("text", { x: LEFT, y: HEIGHT - 4 }, label),
    s("text", { x: WIDTH - 6, y: HEIGHT - 4, "text-anchor": "end" }, "now"));
  const legend = h("div", { class: "legend" }, shown.map((one, i) =>
    h("span", {}, h("i", { class: `s${i + 1}` }), `${one.name} `, h("b", {}, format(one.values.at(-1) || 0)))));
  show(el, picture, legend);
}

// Rates out of counters: one value fewer than there are times.
export function rates(times, counters) {
  return counters.slice(1).map((value, i) => Math.max(0, ((value - counters[i]) * 1000) / Math.max(1, times[i + 1] - times[i])));
}
