# ruff: noqa: INP001  # a script beside its source, in no package
"""Draws the production diagram: `python docs/architecture/draw.py [FILE]` writes docs/images/production.svg.

The source next to this file says what there is and who speaks to whom; here are only shapes and colours, which are
those of the dashboard, in light and dark. Nothing but Python's own library, so that it runs everywhere.
"""

from __future__ import annotations

import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

SOURCE = Path(__file__).with_name("production.toml")
PICTURE = Path(__file__).parents[1] / "images" / "production.svg"

# The place of columns: 0 beside the bus, the others below it, with the same gap between them.
MARGIN, FIRST, WIDTH, GAP = 16, 164, 120, 12
RADIUS = 8
# An arrow's head, and how far below its box's edge a label has its base line.
HEAD = 5
TITLE, LINE = 13, 11.5
# The kind of box that tells Prometheus its numbers.
MEASURED = "part"

STYLE = """
  .page { fill: #FFFFFF } .frame { fill: none; stroke: #E2E5E9 }
  .t { font: 600 12.5px Inter, "Segoe UI", Helvetica, Arial, "Liberation Sans", sans-serif; fill: #14181D }
  .h { font: 700 17px Inter, "Segoe UI", Helvetica, Arial, "Liberation Sans", sans-serif; fill: #14181D }
  .l, .c { font: 11.5px Inter, "Segoe UI", Helvetica, Arial, "Liberation Sans", sans-serif; fill: #434C57 }
  .c { fill: #14181D } .n { font-weight: 600 }
  .m { font: 10.5px "JetBrains Mono", Menlo, Consolas, "Liberation Mono", monospace; fill: #005B8F }
  .part { fill: #FFFFFF; stroke: #7A8490 } .engine { fill: #F0F2F4; stroke: #C9CED5 }
  .outside { fill: none; stroke: #9AA4AF; stroke-dasharray: 4 3 } .bus { fill: #E6F1F8; stroke: #0072B2 }
  .w { fill: none; stroke-width: 1.6 } .dot { fill: #009E73 } .zebra { fill: #F5F6F7 }
  .mqtt { stroke: #0072B2 } .http { stroke: #434C57 } .sql { stroke: #7A8490 }
  .model { stroke: #00694B } .mail { stroke: #D55E00 }
  .head { stroke: none } .head.mqtt { fill: #0072B2 } .head.http { fill: #434C57 } .head.sql { fill: #7A8490 }
  .head.model { fill: #00694B } .head.mail { fill: #D55E00 }
  @media (prefers-color-scheme: dark) {
    .page { fill: #0D1117 } .frame { stroke: #262C33 }
    .t, .h, .c { fill: #E9ECEF } .l { fill: #B4BCC5 } .m { fill: #66B5E5 }
    .part { fill: #14181C; stroke: #7F8A96 } .engine { fill: #1B2025; stroke: #3A424B }
    .outside { stroke: #626D79 } .bus { fill: #0A2536; stroke: #66B5E5 } .zebra { fill: #14181C }
    .dot { fill: #41C79C } .mqtt { stroke: #66B5E5 } .http { stroke: #B4BCC5 } .sql { stroke: #7F8A96 }
    .model { stroke: #41C79C } .mail { stroke: #FF9357 }
    .head.mqtt { fill: #66B5E5 } .head.http { fill: #B4BCC5 } .head.sql { fill: #7F8A96 }
    .head.model { fill: #41C79C } .head.mail { fill: #FF9357 }
  }
"""


class Box(NamedTuple):
    """A part of the picture and where it is, in pixels."""

    x: float
    y: float
    width: float
    height: float

    def at(self, share: float) -> float:
        """The x at this share of the width."""
        return round(self.x + self.width * share, 1)

    @property
    def bottom(self) -> float:
        return self.y + self.height


def place(spec: Mapping[str, Any]) -> Box:
    """Where a box of the source is."""
    span = spec.get("span", 1)
    if spec["column"] == 0:
        first, left = MARGIN, FIRST - GAP - MARGIN - 8
        width = left if span == 1 else FIRST + (span - 1) * (WIDTH + GAP) - GAP - MARGIN
    else:
        first, width = FIRST + (spec["column"] - 1) * (WIDTH + GAP), span * WIDTH + (span - 1) * GAP
    return Box(first, spec["y"], width, spec["height"])


def draw(source: Mapping[str, Any]) -> str:
    """The whole picture."""
    boxes = {spec["id"]: place(spec) for spec in source["box"]}
    width, table = source["width"], source["table"]
    height = table["y"] + 34 + 24 * len(table["rows"]) + MARGIN
    body = [
        f'<rect class="page" width="{width}" height="{height}" rx="12"/>',
        f'<rect class="frame" x="0.5" y="0.5" width="{width - 1}" height="{height - 1}" rx="12"/>',
        _text(MARGIN, 34, source["title"], "h"),
        *_legend(width),
        *(wire for spec in source["line"] for wire in _line(spec, boxes)),
        *_rail(source["rail"], boxes),
        *_corner(source["corner"], boxes),
        *(wire for spec in source["traffic"] for wire in _traffic(spec, boxes)),
        *(shape for spec in source["box"] for shape in _box(spec, boxes[spec["id"]])),
        *_table(table, width),
    ]
    inside = "\n".join(f"  {line}" for line in body)
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
        f' role="img" aria-label="{escape(source["title"])}">\n'
        f"  <!-- Made by docs/architecture/draw.py of docs/architecture/production.toml. -->\n"
        f"  <style>{STYLE}  </style>\n{inside}\n</svg>\n"
    )


def _text(x: float, y: float, text: str, kind: str, anchor: str = "start") -> str:
    turned = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text class="{kind}" x="{x:g}" y="{y:g}"{turned}>{escape(text)}</text>'


def _box(spec: Mapping[str, Any], box: Box) -> Iterator[str]:
    """The shape, its title and lines in its middle, and a dot where Prometheus asks."""
    yield (
        f'<rect class="{spec["kind"]}" x="{box.x:g}" y="{box.y:g}" width="{box.width:g}" height="{box.height:g}"'
        f' rx="{RADIUS}"/>'
    )
    words = [(spec["title"], "t", TITLE + 3), *((line, "l", LINE + 3.5) for line in spec["lines"])]
    y = box.y + (box.height - sum(step for _, _, step in words)) / 2 - 3.5
    for text, kind, step in words:
        y += step
        yield _text(box.at(0.5), round(y, 1), text, kind, "middle")
    if spec["kind"] == MEASURED:
        yield f'<circle class="dot" cx="{box.x + box.width - 8:g}" cy="{box.y + 8:g}" r="3.5"/>'


def _wire(kind: str, points: Sequence[tuple[float, float]]) -> str:
    return f'<polyline class="w {kind}" points="{" ".join(f"{x:g},{y:g}" for x, y in points)}"/>'


def _head(kind: str, x: float, y: float, towards: str) -> str:
    """An arrow's head whose tip is at (x, y)."""
    side = HEAD * 0.8
    corners = {
        "down": [(x, y), (x - side, y - HEAD * 1.6), (x + side, y - HEAD * 1.6)],
        "up": [(x, y), (x - side, y + HEAD * 1.6), (x + side, y + HEAD * 1.6)],
        "left": [(x, y), (x + HEAD * 1.6, y - side), (x + HEAD * 1.6, y + side)],
        "right": [(x, y), (x - HEAD * 1.6, y - side), (x - HEAD * 1.6, y + side)],
    }[towards]
    return f'<polygon class="head {kind}" points="{" ".join(f"{a:g},{b:g}" for a, b in corners)}"/>'


def _line(spec: Mapping[str, Any], boxes: Mapping[str, Box]) -> Iterator[str]:
    """Straight down or up where one box is above the other, else to the right."""
    one, other, kind = boxes[spec["from"]], boxes[spec["to"]], spec["kind"]
    if one.bottom <= other.y or other.bottom <= one.y:
        upper = one if one.bottom <= other.y else other
        x = upper.at(spec.get("x", 0.5))
        down = one is upper
        start, end = (one.bottom, other.y) if down else (one.y, other.bottom)
        yield _wire(kind, [(x, start), (x, end)])
        yield _head(kind, x, end, "down" if down else "up")
        if spec.get("both"):
            yield _head(kind, x, start, "up" if down else "down")
        if "label" in spec:
            yield _text(x - 8, (start + end) / 2 + 4, spec["label"], "m", "end")
        return
    y = other.y + other.height / 2
    yield _wire(kind, [(one.at(1), y), (other.x, y)])
    yield _head(kind, other.x, y, "right")
    if spec.get("both"):
        yield _head(kind, one.at(1), y, "left")


def _traffic(spec: Mapping[str, Any], boxes: Mapping[str, Box]) -> Iterator[str]:
    """What a part hears, down from the bus on its left; what it says, up on its right."""
    bus, part = boxes["broker"], boxes[spec["part"]]
    if "hears" in spec:
        x = part.at(0.14)
        yield _wire("mqtt", [(x, bus.bottom), (x, part.y)])
        yield _head("mqtt", x, part.y, "down")
        yield _text(x + 7, bus.bottom + 22, spec["hears"], "m")
    x = part.at(0.86)
    yield _wire("mqtt", [(x, part.y), (x, bus.bottom)])
    yield _head("mqtt", x, bus.bottom, "up")
    yield _text(x - 7, part.y - 13, spec["says"], "m", "end")


def _rail(spec: Mapping[str, Any], boxes: Mapping[str, Box]) -> Iterator[str]:
    """One line past all who keep something in one place."""
    target, kind, y = boxes[spec["to"]], spec["kind"], spec["y"]
    stations = [boxes[name].at(0.8 if name == "api" else 0.3) for name in spec["parts"]]
    yield _wire(kind, [(min(stations), y), (max(stations), y)])
    for name, x in zip(spec["parts"], stations, strict=True):
        yield _wire(kind, [(x, boxes[name].bottom), (x, y)])
    x = target.at(0.5)
    yield _wire(kind, [(x, y), (x, target.y)])
    yield _head(kind, x, target.y, "down")


def _corner(spec: Mapping[str, Any], boxes: Mapping[str, Box]) -> Iterator[str]:
    """Up from one box, along, and up into the other."""
    one, other, kind = boxes[spec["from"]], boxes[spec["to"]], spec["kind"]
    start, end = one.at(0.2), other.at(0.78)
    yield _wire(kind, [(start, one.y), (start, spec["y"]), (end, spec["y"]), (end, other.bottom)])
    yield _head(kind, end, other.bottom, "up")


def _legend(width: float) -> Iterator[str]:
    """What the colours of the lines are, at the top right."""
    words = [("mqtt", "MQTT"), ("http", "HTTPS"), ("sql", "state"), ("model", "models"), ("mail", "to people")]
    step = 78
    for number, (kind, word) in enumerate(words):
        x = width - MARGIN - 88 - step * (len(words) - 1 - number)
        yield _wire(kind, [(x, 29), (x + 22, 29)])
        yield _text(x + 28, 33, word, "l")


def _table(spec: Mapping[str, Any], width: float) -> Iterator[str]:
    """What the parts are in each environment."""
    first, y = 128.0, float(spec["y"])
    step = (width - 2 * MARGIN - first) / (len(spec["columns"]) - 1)
    starts = [MARGIN + 10.0, *(MARGIN + first + step * column for column in range(len(spec["columns"]) - 1))]
    for x, name in zip(starts, spec["columns"], strict=True):
        if name:
            yield _text(round(x, 1), y + 18, name, "t")
    y += 30
    for number, row in enumerate(spec["rows"]):
        if number % 2 == 0:
            yield (f'<rect class="zebra" x="{MARGIN}" y="{y:g}" width="{width - 2 * MARGIN:g}" height="24" rx="4"/>')
        for column, (x, word) in enumerate(zip(starts, row, strict=True)):
            yield _text(round(x, 1), y + 16, word, "c n" if column == 0 else "c")
        y += 24


if __name__ == "__main__":
    target = Path(sys.argv[1]) if len(sys.argv) > 1 else PICTURE
    target.write_text(draw(tomllib.loads(SOURCE.read_text(encoding="utf-8"))), encoding="utf-8")
