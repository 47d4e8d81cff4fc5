"""The rows of a device's chart: one time axis, and for each sensor a scale on which its values and its range fit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dashboard.facts import Sensor, Series
from dashboard.language import Words

ROW_PX = 112
TOP_PX = 30
BOTTOM_PX = 24
RIGHT_PX = 44
# Above and below the values of a row, as a share of their span, so that lines of two sensors never touch.
_AIR = 0.15
# And this share of the row: half the height of a number on the axis, so that those of two rows never touch.
_EDGE = 0.06
# An expected range fills a quarter of its row: three widths around it are shown, and more where the data need it.
_WIDTHS_AROUND = 1.5

Json = dict[str, Any]


class Span(NamedTuple):
    """The time shown, epoch ms."""

    since_ms: int
    until_ms: int


def height(rows: int) -> int:
    """The figure's height for so many sensors, px."""
    return max(rows, 1) * ROW_PX + TOP_PX + BOTTOM_PX


def layout(
    series: Sequence[Series], span: Span, offset: int, expected: Mapping[str, Sensor], say: Words, identity: str
) -> Json:
    """The figure's layout; `identity` keeps the reader's zoom while it is the same device."""
    rows = max(len(series), 1)
    bottom = f"y{rows}" if rows > 1 else "y"
    axes = {
        f"yaxis{row + 1 if row else ''}": _row_axis(line, row, rows, expected.get(line.name))
        for row, line in enumerate(series)
    }
    return {
        "height": height(len(series)),
        "margin": {"l": 0, "r": RIGHT_PX, "t": TOP_PX, "b": BOTTOM_PX},
        "font": {"family": "Inter, system-ui, sans-serif", "size": 11, "color": "--text3"},
        "paper_bgcolor": "rgba(0,0,0,0)",
        "plot_bgcolor": "--surface",
        "showlegend": False,
        "hovermode": "x unified",
        "hoversubplots": "axis",
        "hoverlabel": {"bgcolor": "--surface", "bordercolor": "--line2", "font": {"size": 12, "color": "--text"}},
        "separators": ",." if say.language == "pt" else ".,",
        "uirevision": identity,
        "xaxis": {
            "type": "date",
            "range": [span.since_ms + offset, span.until_ms + offset],
            "anchor": bottom,
            "tickformat": "%H:%M",
            "hoverformat": "%H:%M:%S",
            "gridcolor": "--grid",
            "linecolor": "--line2",
            "showline": True,
            "zeroline": False,
            "ticks": "",
            "showspikes": True,
            "spikemode": "across",
            "spikethickness": 1,
            "spikedash": "2px",
            "spikecolor": "--text3",
            "nticks": 8,
        },
        **axes,
    }


def _row_axis(line: Series, row: int, rows: int, sensor: Sensor | None) -> Json:
    top = 1 - row / rows
    bottom = 1 - (row + 1) / rows
    # The outer edges are those of the bands.
    above = _EDGE / rows if row else 0.0
    below = _EDGE / rows if row < rows - 1 else 0.0
    low, high = _range(line, sensor)
    return {
        "domain": [bottom + below, top - above],
        "anchor": "x",
        "side": "right",
        "ticklabelstandoff": 8,
        "nticks": 3,
        "showgrid": False,
        "zeroline": False,
        "fixedrange": True,
        "range": [low, high],
    }


def _range(line: Series, sensor: Sensor | None) -> tuple[float, float]:
    """The expected range with air around it, grown until every value fits."""
    values = [value for value in line.values if value is not None]
    if sensor is not None:
        width = max(sensor.expected_high - sensor.expected_low, 1e-9) * _WIDTHS_AROUND
        values += [sensor.expected_low - width, sensor.expected_high + width]
    if not values:
        return 0.0, 1.0
    low, high = min(values), max(values)
    air = (high - low) * _AIR or abs(high) * 0.02 or 1.0
    return low - air, high + air
