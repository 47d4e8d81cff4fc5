// Small lines in the page's own colours: `data-spark` says what to draw, this draws it once it appears.
"use strict";

(() => {
  const SVG = "http://www.w3.org/2000/svg";
  // The drawing's own units; it is stretched to its place, and its strokes are not.
  const WIDTH = 1000;
  const HEIGHT = 100;

  function shape(name, attributes, parent) {
    const node = document.createElementNS(SVG, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    parent.append(node);
    return node;
  }

  // `M x y h0 L x y …`, with a new start after each gap; the step of no length shows a point that stands alone.
  function path(points) {
    let pen = "M";
    return points.map(([x, y]) => {
      if (y === null) { pen = "M"; return ""; }
      const step = `${pen}${x.toFixed(1)} ${y.toFixed(2)}${pen === "M" ? "h0" : ""}`;
      pen = "L";
      return step;
    }).join("");
  }

  function scale(spec) {
    const known = [...spec.v, spec.low, spec.high].filter((value) => typeof value === "number");
    let [low, high] = [Math.min(...known), Math.max(...known)];
    const air = (high - low || Math.abs(high) || 1) * 0.12;
    [low, high] = [low - air, high + air];
    const [first, last] = [spec.t[0], spec.t[spec.t.length - 1]];
    const x = (at) => Math.max(0, (WIDTH * (at - first)) / Math.max(1, last - first));
    return { low, high, x, y: (value) => HEIGHT * (1 - (value - low) / (high - low)) };
  }

  function draw(place) {
    const spec = JSON.parse(place.dataset.spark);
    if (!spec.v.some((value) => value !== null)) return;
    const { x, y, low, high } = scale(spec);
    const svg = document.createElementNS(SVG, "svg");
    svg.setAttribute("viewBox", `0 0 ${WIDTH} ${HEIGHT}`);
    svg.setAttribute("preserveAspectRatio", "none");
    const hue = `var(--${spec.tone || "seen"})`;
    const hasRange = typeof spec.low === "number" && typeof spec.high === "number";
    const ended = spec.t[spec.t.length - 1];
    const begins = spec.band != null && spec.band <= ended ? spec.band : null;
    if (begins !== null) shape("rect", { x: x(begins), y: 0, width: WIDTH - x(begins), height: HEIGHT, style: `fill:${hue}`, opacity: 0.13 }, svg);
    if (hasRange) shape("rect", { x: 0, y: y(spec.high), width: WIDTH, height: Math.max(1, y(spec.low) - y(spec.high)), style: "fill:var(--ribbon)" }, svg);
    const line = (d, colour, width) => d && shape("path", { d, fill: "none", style: `stroke:${colour}`, "stroke-width": width, "vector-effect": "non-scaling-stroke", "stroke-linejoin": "round", "stroke-linecap": "round" }, svg);
    line(path(spec.v.map((value, i) => [x(spec.t[i]), value === null ? null : y(value)])), "var(--seen)", 1.35);
    if (begins !== null && hasRange) {
      const outside = (value, i) => value !== null && spec.t[i] >= begins && (value > spec.high || value < spec.low);
      line(path(spec.v.map((value, i) => [x(spec.t[i]), outside(value, i) ? y(value) : null])), hue, 1.9);
    }
    place.replaceChildren(svg);
    if (spec.axis) axis(place, spec, low, high);
  }

  function tick(place, text, style) {
    place.append(Object.assign(document.createElement("span"), { className: "tick", textContent: text, style }));
  }

  function axis(place, spec, low, high) {
    const step = 10 ** Math.floor(Math.log10((high - low) / 2));
    // A mail's picture speaks the mail's language.
    const language = place.closest("[lang]").lang;
    const nice = [1, 2, 5, 10].map((n) => n * step).find((n) => (high - low) / n <= 3.5) || step * 10;
    for (let value = Math.ceil(low / nice) * nice; value <= high; value += nice) {
      tick(place, ronda.number(Number(value.toPrecision(6)), undefined, language), `left:calc(100% + 8px);top:calc(${(100 * (high - value)) / (high - low)}% - 8px)`);
    }
    const [first, last] = [spec.t[0], spec.t[spec.t.length - 1]];
    tick(place, ronda.time(first), "left:0;top:calc(100% + 4px)");
    tick(place, ronda.time(last), "right:0;top:calc(100% + 4px)");
  }

  function drawAll() {
    for (const place of document.querySelectorAll("[data-spark]")) {
      if (place.drawn === place.dataset.spark && place.firstChild) continue;
      place.drawn = place.dataset.spark;
      draw(place);
    }
  }

  new MutationObserver(drawAll).observe(document.body, { subtree: true, childList: true, attributeFilter: ["data-spark"] });
})();
