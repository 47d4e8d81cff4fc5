// A line that follows pointer or arrow keys over the charts of a group, and says what was measured there.
"use strict";

const language = document.documentElement.lang;
const offset = Number(document.documentElement.dataset.offset || 0);
const elapsed = document.documentElement.dataset.elapsed === "yes";
const digits = new Intl.NumberFormat(language, { maximumSignificantDigits: 4 });
const WIDTH = 2000, HEIGHT = 400, STEP = 1 / 200;

// What a path draws, as places on the chart: read from it once, when first asked for.
function points(plot) {
  if (!plot.points) {
    const path = plot.querySelector("path.line");
    const pairs = (path ? path.getAttribute("d") : "").match(/[-\d]+ [-\d]+/g) || [];
    plot.points = pairs.map(pair => pair.split(" ").map(Number));
  }
  return plot.points;
}

function nearest(plot, share) {
  const x = share * WIDTH;
  let best = null;
  for (const point of points(plot)) {
    if (best === null || Math.abs(point[0] - x) < Math.abs(best[0] - x)) best = point;
  }
  return best;
}

function value(plot, y) {
  const low = Number(plot.dataset.low), high = Number(plot.dataset.high), share = 1 - y / HEIGHT;
  if ("bent" in plot.dataset) return Math.expm1(Math.log1p(low) + share * (Math.log1p(high) - Math.log1p(low)));
  return low + share * (high - low);
}

function moment(plot, share) {
  const from = Number(plot.dataset.from), at = from + share * (Number(plot.dataset.to) - from);
  const text = new Date(at + (elapsed ? 0 : offset)).toISOString();
  const day = elapsed ? Math.floor(at / 86400000) : 0;
  return (day ? day + " d " : "") + text.slice(11, 19);
}

function mark(parent, name) {
  let found = parent.querySelector(":scope > ." + name);
  if (!found) {
    found = document.createElement("div");
    found.className = name;
    found.setAttribute("aria-hidden", "true");
    parent.append(found);
  }
  return found;
}

function show(group, share) {
  const plots = [...group.querySelectorAll(".plot[data-from]")], told = [];
  plots.forEach((plot, number) => {
    const field = plot.querySelector(".field"), point = nearest(plot, share), cursor = mark(field, "cursor");
    cursor.style.left = 100 * share + "%";
    cursor.style.height = plot.dataset.height + "px";
    if (!point) return;
    const dot = mark(field, "dot");
    dot.style.left = 100 * share + "%";
    dot.style.top = Math.min(1, Math.max(0, point[1] / HEIGHT)) * plot.dataset.height + "px";
    const name = plot.dataset.name || group.dataset.name, text = digits.format(value(plot, point[1]));
    told.push(name + " " + text);
    const readout = mark(field, "readout");
    readout.textContent = number ? text : moment(plot, share) + " · " + text;
    readout.style.left = Math.min(92, Math.max(8, 100 * share)) + "%";
    readout.style.top = (number ? 14 : -8) + "px";
  });
  group.share = share;
  const slider = group.querySelector("[role=slider]");
  slider.setAttribute("aria-valuenow", String(Math.round(100 * share)));
  slider.setAttribute("aria-valuetext", moment(plots[0], share) + ", " + told.join(", "));
}

function hide(group) {
  group.querySelectorAll(".cursor, .dot, .readout").forEach(each => each.remove());
}

function key(group, event) {
  const steps = { ArrowRight: STEP, ArrowLeft: -STEP, ArrowUp: 10 * STEP, ArrowDown: -10 * STEP };
  const ends = { Home: 0, End: 1 };
  if (event.key === "Escape") return hide(group);
  if (!(event.key in steps) && !(event.key in ends)) return undefined;
  event.preventDefault();
  const share = event.key in ends ? ends[event.key] : (group.share ?? 0.5) + steps[event.key];
  return show(group, Math.min(1, Math.max(0, share)));
}

document.querySelectorAll(".charts").forEach(group => {
  const plots = group.querySelectorAll(".plot[data-from]");
  if (!plots.length) return;
  const slider = plots[0].querySelector(".field");
  const label = plots[0].querySelector("svg[role=img]").getAttribute("aria-label");
  const attributes = { role: "slider", tabindex: "0", "aria-label": label, "aria-valuemin": "0", "aria-valuemax": "100", "aria-valuenow": "50" };
  Object.entries(attributes).forEach(([name, text]) => slider.setAttribute(name, text));
  slider.addEventListener("keydown", event => key(group, event));
  slider.addEventListener("blur", () => hide(group));
  plots.forEach(plot => {
    const field = plot.querySelector(".field");
    field.addEventListener("pointermove", event => {
      const box = field.getBoundingClientRect();
      show(group, Math.min(1, Math.max(0, (event.clientX - box.left) / box.width)));
    });
    field.addEventListener("pointerleave", () => hide(group));
  });
});
