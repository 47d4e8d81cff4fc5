"""The few colours of a message: grey for what is, one hue for a judgement (Okabe-Ito, with a text shade beside it)."""

from __future__ import annotations

from typing import NamedTuple

from contract.events import Severity

PAGE = "#F5F6F7"
SURFACE = "#FFFFFF"
LINE = "#E2E5E9"
LINE_STRONG = "#C9CED5"
TEXT = "#14181D"
TEXT_PROSE = "#434C57"
TEXT_LABEL = "#5B6570"
INK = "#14181D"
ON_INK = "#FFFFFF"
SEEN = "#2B333C"
CENTRE = "#9AA4AF"
GRID = "#EEF0F2"
RIBBON = "#2B3E54"
RIBBON_OPACITY = 0.15


class Hue(NamedTuple):
    """A severity's colours: `shape` for glyphs, bands and lines, `text` for words (≥ 5.6:1 on `tint`)."""

    shape: str
    text: str
    tint: str
    band_opacity: float


HUE = {
    Severity.WARNING: Hue("#E69F00", "#7D5300", "#FDF3DC", 0.14),
    Severity.CRITICAL: Hue("#D55E00", "#A63C00", "#FCEDE4", 0.13),
}
