"""The shapes that stand beside every word of judgement, so that grey print and any eye can tell them apart."""

from __future__ import annotations

from ronda.trial.page.markup import Markup, tag

_FILLED = {"critical": "M6 .9 11.7 11H.3Z", "warning": "M6 .2 11.8 6 6 11.8.2 6Z"}
_OPEN = {"ready": "M1.4 6.6 4.6 9.8 10.6 2.4", "missed": "M2 2 10 10M10 2 2 10"}


def glyph(name: str) -> Markup:
    """▲ critical, ◆ warning, ● sensor, ✓ ready, ✕ missed, ◔ young: drawn, not typed, since no font has all of them."""
    if name in _FILLED:
        shape = tag("path", d=_FILLED[name], fill="currentColor")
    elif name in _OPEN:
        shape = tag("path", d=_OPEN[name], fill="none", stroke="currentColor", stroke_width=2.1, stroke_linecap="round")
    elif name == "sensor":
        shape = tag("circle", cx=6, cy=6, r=5, fill="currentColor")
    else:
        ring = tag("circle", cx=6, cy=6, r=4.9, fill="none", stroke="currentColor", stroke_width=1.6)
        quarter = tag("path", d="M6 6V1.1A4.9 4.9 0 0 1 10.9 6Z", fill="currentColor")
        return tag("svg", ring, quarter, viewBox="0 0 12 12", class_="glyph", aria_hidden="true")
    return tag("svg", shape, viewBox="0 0 12 12", class_="glyph", aria_hidden="true")


def badge(name: str, word: str) -> Markup:
    """A judgement: glyph, word and colour."""
    return tag("span", glyph(name), word, class_=f"badge {name}")


def mark() -> Markup:
    """The round, the dot that walks it, and the machine inside."""
    ring = tag(
        "path",
        d="M8.6 2.53A5.6 5.6 0 1 0 13.57 8.1",
        fill="none",
        stroke="currentColor",
        stroke_width=2,
        stroke_linecap="round",
    )
    dots = [tag("circle", cx=x, cy=y, r=r, fill="currentColor") for x, y, r in ((12.55, 3.55, 2.05), (8.0, 8.1, 1.75))]
    return tag("svg", ring, *dots, viewBox="0 0 16 16", class_="mark", aria_hidden="true")
