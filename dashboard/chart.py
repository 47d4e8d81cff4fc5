"""One device's sensors under each other on one time axis: the figure as plain data, coloured by the browser.

A colour is the name of a style sheet variable (`--seen`, or `--crit@.13` with an opacity); the page puts the value of
its scheme in, so there is one place where colours stand. Times are shifted by the site's offset from UTC, because
Plotly writes every time as UTC.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo
from typing import Any, NamedTuple

from dashboard.elements import tone
from dashboard.facts import Anomaly, Sensor, Series
from dashboard.gaps import broken, longest_step_ms
from dashboard.language import Words
from dashboard.sensors import label

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


def figure(
    series: Sequence[Series], span: Span, anomalies: Sequence[Anomaly], say: Words, *, site: str, device: str
) -> Json:
    """The Plotly figure of a device: a row a sensor, bands where it was outside, the expected range of the newest."""
    offset = offset_ms(span.until_ms, say.zone)
    expected = expectations(anomalies)
    traces: list[Json] = []
    for row, measured in enumerate(series):
        line = _with_gaps(measured)
        traces += _traces(line, row, expected.get(line.name), anomalies, span, offset, say)
    meta = {
        "offset": offset,
        "site": site,
        "device": device,
        "span": span.until_ms - span.since_ms,
        "outside": any(anomaly.active for anomaly in anomalies),
        "gap": _gap_ms(series),
        "expected": {name: [each.expected_low, each.expected_high] for name, each in expected.items()},
    }
    return {
        "data": traces,
        "layout": {
            **_layout(series, span, offset, expected, say, f"{site}/{device}"),
            "shapes": [*_hairlines(len(series)), *_bands(anomalies, span, offset)],
            "annotations": _raised(anomalies, span, offset, say),
            "meta": meta,
        },
    }


def draws(picture: Json, role: str) -> bool:
    """Does the figure show anything in this role: `edge`, the expected range, or `outside`, what left it?"""
    return any(
        value is not None for trace in picture["data"] if trace["meta"].get("role") == role for value in trace["y"]
    )


def height(rows: int) -> int:
    """The figure's height for so many sensors, px."""
    return max(rows, 1) * ROW_PX + TOP_PX + BOTTOM_PX


def offset_ms(at_ms: int, zone: tzinfo) -> int:
    """The site's offset from UTC at that time; a change of it within the span shown is not drawn."""
    offset = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone).utcoffset()
    return int(offset.total_seconds() * 1000) if offset else 0


def expectations(anomalies: Sequence[Anomaly]) -> Mapping[str, Sensor]:
    """What each sensor was expected to show, by the evidence of the newest anomaly."""
    newest = max(anomalies, key=lambda anomaly: anomaly.raised_at_ms, default=None)
    return {sensor.name: sensor for sensor in newest.sensors} if newest else {}


def _with_gaps(line: Series) -> Series:
    times, values = broken(line.measured_at_ms, line.values)
    return Series(name=line.name, unit=line.unit, measured_at_ms=times, values=values)


def _gap_ms(series: Sequence[Series]) -> float | None:
    """The step from which the browser breaks the line as it goes on; None while nobody knows."""
    longest = max((longest_step_ms(line.measured_at_ms) for line in series), default=math.inf)
    return longest if math.isfinite(longest) else None


def _traces(
    line: Series, row: int, sensor: Sensor | None, anomalies: Sequence[Anomaly], span: Span, offset: int, say: Words
) -> list[Json]:
    y = f"y{row + 1}" if row else "y"
    times = [at + offset for at in line.measured_at_ms]
    unit = f"\u00a0{line.unit}" if line.unit else ""
    seen = {
        "x": times,
        "y": line.values,
        "mode": "lines",
        "yaxis": y,
        "name": label(line.name, say),
        "line": {"color": "--seen", "width": 1.35},
        "connectgaps": False,
        "hovertemplate": "%{y:.4~g}" + unit,
        "meta": {"metric": line.name, "role": "seen"},
    }
    outside, hue = _outside(line, sensor, anomalies) if sensor else ([], "seen")
    colour = f"--{hue}" if outside and outside[-1] is not None else "--seen"
    last = {
        "x": times[-1:],
        "y": line.values[-1:],
        "mode": "markers",
        "yaxis": y,
        "hoverinfo": "skip",
        "cliponaxis": False,
        "marker": {"size": 6, "color": colour, "line": {"width": 1.5, "color": "--surface"}},
        "meta": {"metric": line.name, "role": "last"},
    }
    if sensor is None:
        return [seen, last]
    edges = [span.since_ms + offset, span.until_ms + offset]
    ribbon = {"mode": "lines", "yaxis": y, "line": {"width": 0}, "hoverinfo": "skip", "x": edges}
    return [
        {**ribbon, "y": [sensor.expected_low] * 2, "meta": {"role": "edge"}},
        {
            **ribbon,
            "y": [sensor.expected_high] * 2,
            "fill": "tonexty",
            "fillcolor": "--ribbon",
            "meta": {"role": "edge"},
        },
        {
            **ribbon,
            "y": [sensor.expected] * 2,
            "line": {"color": "--mid", "width": 1, "dash": "3px,3px"},
            "meta": {"role": "edge"},
        },
        seen,
        {
            "x": times,
            "y": outside,
            "mode": "lines",
            "yaxis": y,
            "hoverinfo": "skip",
            "connectgaps": False,
            "line": {"color": f"--{hue}", "width": 1.9},
            "meta": {"metric": line.name, "role": "outside"},
        },
        last,
    ]


def _outside(line: Series, sensor: Sensor, anomalies: Sequence[Anomaly]) -> tuple[list[float | None], str]:
    """The part of the line that left its range during an anomaly, and the severity's hue."""
    hue = tone(max(anomalies, key=lambda anomaly: anomaly.raised_at_ms).severity) if anomalies else "warn"

    def masked(at: int, value: float | None) -> float | None:
        if value is None or sensor.expected_low <= value <= sensor.expected_high:
            return None
        return value if any(_during(anomaly, at) for anomaly in anomalies) else None

    return [masked(at, value) for at, value in zip(line.measured_at_ms, line.values, strict=True)], hue


def _during(anomaly: Anomaly, at_ms: int) -> bool:
    return anomaly.since_ms <= at_ms and (anomaly.cleared_at_ms is None or at_ms <= anomaly.cleared_at_ms)


def _bands(anomalies: Sequence[Anomaly], span: Span, offset: int) -> list[Json]:
    """A band from leaving normal to coming back, and a solid line where it was raised."""
    shapes: list[Json] = []
    for anomaly in anomalies:
        hue = tone(anomaly.severity)
        until = anomaly.cleared_at_ms or span.until_ms
        across = {"yref": "paper", "y0": 0, "y1": 1, "layer": "below"}
        band = {
            "type": "rect",
            "x0": anomaly.since_ms + offset,
            "x1": until + offset,
            "line": {"width": 0},
            "fillcolor": f"--{hue}@{'.13' if hue == 'crit' else '.14'}",
            "name": "open" if anomaly.active else "closed",
        }
        raised = {
            "type": "line",
            "x0": anomaly.raised_at_ms + offset,
            "x1": anomaly.raised_at_ms + offset,
            "line": {"color": f"--{hue}", "width": 1.2},
            "name": "raised",
        }
        shapes += [{**across, **band}, {**across, **raised}]
    return shapes


def _hairlines(rows: int) -> list[Json]:
    """Between two sensors."""
    line = {
        "type": "line",
        "xref": "paper",
        "yref": "paper",
        "x0": 0,
        "x1": 1,
        "layer": "below",
        "line": {"color": "--line", "width": 1},
    }
    return [{**line, "y0": 1 - row / rows, "y1": 1 - row / rows} for row in range(1, rows)]


def _raised(anomalies: Sequence[Anomaly], span: Span, offset: int, say: Words) -> list[Json]:
    """In the lane on top: when the newest of them was raised."""
    shown = [each for each in anomalies if span.since_ms <= each.raised_at_ms <= span.until_ms]
    if not shown:
        return []
    newest = max(shown, key=lambda anomaly: anomaly.raised_at_ms)
    middle = (span.since_ms + span.until_ms) / 2
    words = say("Raised {time}", time=say.clock(newest.raised_at_ms)[:5])
    return [
        {
            "x": newest.raised_at_ms + offset,
            "y": 1,
            "yref": "paper",
            "yanchor": "bottom",
            "showarrow": False,
            "xanchor": "right" if newest.raised_at_ms > middle else "left",
            "text": f"<b>{words}</b>",
            "font": {"color": f"--{tone(newest.severity)}-t", "size": 11},
        }
    ]


def _layout(
    series: Sequence[Series], span: Span, offset: int, expected: Mapping[str, Sensor], say: Words, identity: str
) -> Json:
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
