"""One device's sensors under each other on one time axis: the figure as plain data, coloured by the browser.

A colour is the name of a style sheet variable (`--seen`, or `--crit@.13` with an opacity); the page puts the value of
its scheme in, so there is one place where colours stand. Times are shifted by the site's offset from UTC, because
Plotly writes every time as UTC.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, tzinfo

from dashboard.axes import Json, Span, layout
from dashboard.elements import tone
from dashboard.facts import Anomaly, Sensor, Series
from dashboard.gaps import broken, longest_step_ms
from dashboard.language import Words
from dashboard.sensors import label


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
            **layout(series, span, offset, expected, say, f"{site}/{device}"),
            "shapes": [*_hairlines(len(series)), *_bands(anomalies, span, offset)],
            "annotations": _raised(anomalies, span, offset, say),
            "meta": meta,
        },
    }


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
    """What is drawn of one sensor, from the bottom up: the expected range, what was seen, and what was outside."""
    y = f"y{row + 1}" if row else "y"
    times = [at + offset for at in line.measured_at_ms]
    outside, hue = _outside(line, sensor, anomalies) if sensor else ([], "seen")
    colour = f"--{hue}" if outside and outside[-1] is not None else "--seen"
    seen, last = _seen(line, times, y, say), _last(line, times, y, colour)
    if sensor is None:
        return [seen, last]
    edges = [span.since_ms + offset, span.until_ms + offset]
    return [*_range(sensor, edges, y), seen, _left(line, times, outside, y, hue), last]


def _seen(line: Series, times: list[int], y: str, say: Words) -> Json:
    unit = f"\u00a0{line.unit}" if line.unit else ""
    return {
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


def _left(line: Series, times: list[int], outside: list[float | None], y: str, hue: str) -> Json:
    """The same line again where it left its range."""
    return {
        "x": times,
        "y": outside,
        "mode": "lines",
        "yaxis": y,
        "hoverinfo": "skip",
        "connectgaps": False,
        "line": {"color": f"--{hue}", "width": 1.9},
        "meta": {"metric": line.name, "role": "outside"},
    }


def _last(line: Series, times: list[int], y: str, colour: str) -> Json:
    return {
        "x": times[-1:],
        "y": line.values[-1:],
        "mode": "markers",
        "yaxis": y,
        "hoverinfo": "skip",
        "cliponaxis": False,
        "marker": {"size": 6, "color": colour, "line": {"width": 1.5, "color": "--surface"}},
        "meta": {"metric": line.name, "role": "last"},
    }


def _range(sensor: Sensor, edges: list[int], y: str) -> list[Json]:
    """The ribbon between low and high, and the dashed centre."""
    ribbon = {"mode": "lines", "yaxis": y, "line": {"width": 0}, "hoverinfo": "skip", "x": edges}
    filled = {"fill": "tonexty", "fillcolor": "--ribbon"}
    dashed = {"line": {"color": "--mid", "width": 1, "dash": "3px,3px"}}
    return [
        {**ribbon, "y": [sensor.expected_low] * 2, "meta": {"role": "edge"}},
        {**ribbon, **filled, "y": [sensor.expected_high] * 2, "meta": {"role": "edge"}},
        {**ribbon, **dashed, "y": [sensor.expected] * 2, "meta": {"role": "edge"}},
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
