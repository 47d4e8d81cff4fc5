// The device's chart: puts the scheme's colours into the figure, and moves it on with the stream, four times a second.
"use strict";

(() => {
  const REDRAW_MS = 250;
  // More than an hour at one a second: a page left open over night must not grow for ever.
  const POINTS_KEPT = 5000;
  // The parts of the figure that grow: the line, its part outside the range, and the newest point.
  const FED = new Set(["seen", "outside", "last"]);
  const waiting = [];
  let timer = null;

  // "--crit@.13" → the variable's value with that opacity; everything else as it is.
  function coloured(value, styles) {
    if (Array.isArray(value)) return typeof value[0] === "number" ? value : value.map((each) => coloured(each, styles));
    if (value && typeof value === "object") return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, coloured(each, styles)]));
    if (typeof value !== "string" || !value.startsWith("--")) return value;
    const [name, opacity] = value.split("@");
    const colour = styles.getPropertyValue(name).trim();
    if (!opacity) return colour;
    const [red, green, blue] = [1, 3, 5].map((at) => parseInt(colour.slice(at, at + 2), 16));
    return `rgba(${red},${green},${blue},${opacity})`;
  }

  Object.assign(window.dash_clientside.ronda, {
    coloured: (figure) => (figure ? coloured(figure, getComputedStyle(document.documentElement)) : window.dash_clientside.no_update),
  });

  const chart = () => document.querySelector("#chart .js-plotly-plot");

  ronda.on("reading", (data) => {
    const drawn = chart();
    const meta = drawn?.layout?.meta;
    if (!meta || meta.site !== data.site || meta.device !== data.device) return;
    waiting.push(data);
    timer ??= setTimeout(() => { timer = null; append(chart()); }, REDRAW_MS);
  });

  function isOutside(meta, metric, value) {
    const range = meta.expected[metric];
    return meta.outside && range && (value < range[0] || value > range[1]);
  }

  // An anomaly that begins while somebody watches leaves the scale that was right before it.
  function grow(drawn, indices, ys) {
    const changes = {};
    indices.forEach((index, at) => {
      const axis = drawn.data[index].yaxis.replace("y", "yaxis");
      const [low, high] = changes[`${axis}.range`] || drawn.layout[axis].range;
      const values = ys[at].filter((value) => value !== null);
      const [least, most] = [Math.min(low, ...values), Math.max(high, ...values)];
      const air = (most - least) * 0.1;
      if (least < low || most > high) changes[`${axis}.range`] = [least < low ? least - air : low, most > high ? most + air : high];
    });
    return changes;
  }

  // Nothing was measured in between, so no line leads across.
  function broken(points, last, gap) {
    let before = last;
    return points.flatMap((point) => {
      const isGap = gap && before !== undefined && point[0] - before > gap;
      const middle = [(before + point[0]) / 2, null];
      before = point[0];
      return isGap ? [middle, point] : [point];
    });
  }

  function append(drawn) {
    const readings = waiting.splice(0);
    const meta = drawn?.layout?.meta;
    if (!meta) return;
    const indices = [];
    const xs = [];
    const ys = [];
    const kept = [];
    drawn.data.forEach((trace, index) => {
      const { metric, role } = trace.meta || {};
      if (!FED.has(role)) return;
      const known = readings.filter((reading) => reading.values[metric] !== undefined);
      const points = known.map((reading) => {
        const value = reading.values[metric];
        return [reading.measured_at_ms + meta.offset, role !== "outside" || isOutside(meta, metric, value) ? value : null];
      });
      const whole = role === "last" ? points : broken(points, trace.x[trace.x.length - 1], meta.gap);
      indices.push(index);
      xs.push(whole.map(([at]) => at));
      ys.push(whole.map(([, value]) => value));
      kept.push(role === "last" ? 1 : POINTS_KEPT);
    });
    if (!indices.length) return;
    const newest = Math.max(...readings.map((reading) => reading.measured_at_ms)) + meta.offset;
    window.Plotly.extendTraces(drawn, { x: xs, y: ys }, indices, { x: kept, y: kept }).then(() => moveOn(drawn, meta, newest, grow(drawn, indices, ys)));
  }

  // The window follows the newest reading while it shows now; somebody who zoomed into the past is left alone.
  function moveOn(drawn, meta, newest, changes) {
    const end = drawn.layout.xaxis.range[1];
    const shownUntil = typeof end === "number" ? end : Date.parse(`${String(end).replace(" ", "T")}Z`);
    const follows = newest > shownUntil && newest - shownUntil <= meta.span / 4;
    if (!follows) return Object.keys(changes).length ? window.Plotly.relayout(drawn, changes) : null;
    changes["xaxis.range"] = [newest - meta.span, newest];
    drawn.layout.shapes.forEach((shape, index) => { if (shape.name === "open") changes[`shapes[${index}].x1`] = newest; });
    const edges = [];
    drawn.data.forEach((trace, index) => { if (trace.meta?.role === "edge") edges.push(index); });
    const wide = edges.map(() => [newest - meta.span, newest]);
    return edges.length ? window.Plotly.update(drawn, { x: wide }, changes, edges) : window.Plotly.relayout(drawn, changes);
  }
})();
