"""Draws the mail's picture: what the sensor showed, over the grey ribbon of what was expected of it.

Matplotlib's object API alone (no pyplot, no global state) and its bundled font, so any thread may draw and every
machine draws the same. Importing it costs half a second and 40 MB, hence `message.warm_up`.
"""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
from matplotlib import get_data_path
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.font_manager import FontProperties
from matplotlib.patches import Rectangle

from cloud.notifications import palette
from cloud.notifications.numbers import decimals_for, number
from cloud.notifications.picture import Picture
from cloud.notifications.png import png_of
from cloud.notifications.ticks import time_ticks, value_ticks
from cloud.notifications.times import clock

Floats = npt.NDArray[np.float64]

# CSS pixels; drawn at twice that, so that it is sharp on a phone.
WIDTH, HEIGHT = 558, 190
_SCALE = 2
_PX = 0.72  # one CSS pixel in points, at 100 pixels an inch
_FOOT = 24  # room below for the times
_CHARACTER = 6.6  # the widest digit of the labels
_FONT = FontProperties(fname=str(Path(get_data_path(), "fonts", "ttf", "DejaVuSans.ttf")), size=10.5 * _PX)

# A silence this many times the usual spacing is a gap in the line, not a straight stroke over it.
_GAP = 5


class _View(NamedTuple):
    """What is on the axes: seconds since the window's first reading, and the lowest and highest value shown."""

    start_ms: int
    end_s: float
    low: float
    high: float

    def seconds(self, at_ms: int) -> float:
        return (at_ms - self.start_ms) / 1000


def draw(picture: Picture) -> bytes:
    """The PNG, 558 × 190 CSS pixels at double density."""
    at_s, values, start_ms = _series(picture)
    view = _View(start_ms, max(float(at_s[-1]), 1.0), *_limits(picture, values))
    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100 * _SCALE, facecolor=palette.SURFACE)
    axes = _axes(figure, picture, view)
    _draw_expected(axes, picture, view)
    _draw_seen(axes, picture, view, at_s, values)
    return png_of(figure)


def _series(picture: Picture) -> tuple[Floats, Floats, int]:
    """Seconds since the first reading, in order, with a NaN in each gap; the values; the first reading's time."""
    at_ms = np.asarray(picture.measured_at_ms, dtype=np.int64)
    order = np.argsort(at_ms, kind="stable")
    at_s = (at_ms[order] - at_ms[order[0]]) / 1000
    values = np.asarray(picture.values, dtype=np.float64)[order]
    steps = np.diff(at_s)
    gaps = np.flatnonzero(steps > _GAP * np.median(steps)) + 1 if np.any(steps > 0) else np.empty(0, dtype=np.int64)
    return np.insert(at_s, gaps, at_s[gaps]), np.insert(values, gaps, np.nan), int(at_ms[order[0]])


def _limits(picture: Picture, values: Floats) -> tuple[float, float]:
    """The expected range and one and a half of its widths on each side, grown to fit what was seen."""
    width = picture.expected_high - picture.expected_low
    width = width if width > 0 else max(abs(picture.expected) / 10, 1e-6)
    low = min(picture.expected_low - 0.5 * width, float(np.nanmin(values)))
    high = max(picture.expected_high + 0.5 * width, float(np.nanmax(values)))
    margin = 0.12 * (high - low)
    return low - margin, high + margin


def _axes(figure: Figure, picture: Picture, view: _View) -> Axes:
    marks, step = value_ticks(view.low, view.high)
    labels = [number(mark, decimals_for(step * 5), picture.locale.language) for mark in marks]
    right = WIDTH - 10 - _CHARACTER * max(map(len, labels), default=0)
    axes = figure.add_axes((0, _FOOT / HEIGHT, right / WIDTH, 1 - _FOOT / HEIGHT), facecolor=palette.SURFACE)
    axes.set_xlim(0, view.end_s)
    axes.set_ylim(view.low, view.high)
    axes.yaxis.tick_right()
    axes.set_yticks(marks, labels, fontproperties=_FONT)
    _draw_times(axes, picture, view, right)
    axes.tick_params(length=0, pad=8 * _PX, labelcolor=palette.TEXT_LABEL)
    axes.set_axisbelow(True)
    axes.grid(visible=True, axis="x", color=palette.GRID, linewidth=_PX)
    for side in ("left", "right", "top"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set(color=palette.LINE_STRONG, linewidth=_PX)
    return axes


def _draw_times(axes: Axes, picture: Picture, view: _View, width: float) -> None:
    at_ms, pattern = time_ticks(view.start_ms, view.start_ms + round(view.end_s * 1000), picture.locale)
    half = _CHARACTER * (8 if "S" in pattern else 5) / 2
    shown = [at for at in at_ms if half < view.seconds(at) / view.end_s * width < WIDTH - half]
    labels = [clock(at, picture.locale, pattern) for at in shown]
    axes.set_xticks([view.seconds(at) for at in shown], labels, fontproperties=_FONT)


def _draw_expected(axes: Axes, picture: Picture, view: _View) -> None:
    hue = palette.HUE[picture.severity]
    since = min(max(0.0, view.seconds(picture.since_ms)), view.end_s)
    axes.axvspan(since, view.end_s, color=hue.shape, alpha=hue.band_opacity, linewidth=0, zorder=2)
    ribbon = (picture.expected_low, picture.expected_high)
    axes.axhspan(*ribbon, color=palette.RIBBON, alpha=palette.RIBBON_OPACITY, linewidth=0, zorder=3)
    axes.axhline(picture.expected, color=palette.CENTRE, linewidth=_PX, dashes=(3, 3), zorder=4)


def _draw_seen(axes: Axes, picture: Picture, view: _View, at_s: Floats, values: Floats) -> None:
    hue = palette.HUE[picture.severity].shape
    axes.plot(at_s, values, color=palette.SEEN, linewidth=1.35 * _PX, zorder=5, solid_joinstyle="round")
    for low, high in ((picture.expected_high, view.high), (view.low, picture.expected_low)):
        (outside,) = axes.plot(at_s, values, color=hue, linewidth=1.9 * _PX, zorder=6, solid_joinstyle="round")
        # The same line again, let through only where it is outside: the colour changes exactly at the limit.
        outside.set_clip_path(Rectangle((0, low), view.end_s, max(0.0, high - low), transform=axes.transData))
    _draw_last(axes, picture, at_s, values)


def _draw_last(axes: Axes, picture: Picture, at_s: Floats, values: Floats) -> None:
    last = int(np.flatnonzero(np.isfinite(values))[-1])
    inside = picture.expected_low <= values[last] <= picture.expected_high
    axes.plot(
        at_s[last],
        values[last],
        marker="o",
        markersize=6 * _PX,
        color=palette.SEEN if inside else palette.HUE[picture.severity].shape,
        markeredgecolor=palette.SURFACE,
        markeredgewidth=1.5 * _PX,
        clip_on=False,
        zorder=7,
    )
