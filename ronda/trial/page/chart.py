"""Charts as SVG: a stretching inside for lines and bands, and text around it that does not stretch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from ronda.trial.page.markup import Markup, joined, tag
from ronda.trial.page.scale import HEIGHT, WIDTH, Range, Span

_AXIS_PX = 20


class Band(NamedTuple):
    """A stretch of time with a meaning: `learned`, `critical`, `warning` or `label`."""

    kind: str
    from_ms: float
    to_ms: float


class Plot(NamedTuple):
    """What is drawn: the line's `path`, bands behind it, the `expected` range, and marks at the sides."""

    label: str
    path: str
    span: Span
    within: Range
    height_px: int
    name: str | None = None
    bands: Sequence[Band] = ()
    expected: tuple[float, float] | None = None
    limit: float | None = None
    raised_ms: int | None = None
    times: Sequence[tuple[int, str]] = ()
    values: Sequence[tuple[float, str]] = ()


def drawn(plot: Plot, key: str) -> Markup:
    """The chart; `key` names its parts within the page. Its data for the pointer stand in attributes."""
    span, within = plot.span, plot.within
    axis = _AXIS_PX if any(text for _, text in plot.times) else 0
    inside = tag(
        "svg",
        *_behind(plot),
        *_line(plot, key),
        viewBox=f"0 0 {WIDTH} {HEIGHT}",
        preserveAspectRatio="none",
        width="100%",
        height=plot.height_px,
    )
    field = tag(
        "svg", *_time_axis(plot), inside, role="img", aria_label=plot.label, width="100%", height=plot.height_px + axis
    )
    return tag(
        "div",
        tag("div", field, class_="field"),
        _value_axis(plot, axis),
        class_="plot",
        data_name=plot.name,
        data_from=span.from_ms,
        data_to=span.to_ms,
        data_low=within.low,
        data_high=within.high,
        data_bent=within.bent,
        data_height=plot.height_px,
    )


def _behind(plot: Plot) -> list[Markup]:
    parts = [_rect(plot, band.from_ms, band.to_ms, 0, HEIGHT, class_=f"band {band.kind}") for band in plot.bands]
    if plot.expected:
        low, high = (_y(plot, value) for value in plot.expected)
        parts.append(tag("rect", x=0, y=high, width=WIDTH, height=max(2, low - high), class_="expected"))
    return parts


def _line(plot: Plot, key: str) -> list[Markup]:
    if not plot.path:
        return []
    parts = [tag("defs", tag("path", id=key, d=plot.path, class_="line")), tag("use", href=f"#{key}", class_="seen")]
    if plot.limit is not None:
        y = _y(plot, plot.limit)
        parts.append(tag("line", x1=0, x2=WIDTH, y1=y, y2=y, class_="limit"))
    for severity in ("sensor", "warning", "critical"):
        clips = _outside(plot, severity)
        if clips:
            parts.append(tag("clipPath", *clips, id=f"{key}-{severity}"))
            parts.append(tag("use", href=f"#{key}", clip_path=f"url(#{key}-{severity})", class_=f"outside {severity}"))
    if plot.raised_ms is not None:
        x = round(WIDTH * plot.span.share(plot.raised_ms))
        parts.append(tag("line", x1=x, x2=x, y1=0, y2=HEIGHT, class_="raised"))
    return parts


def _outside(plot: Plot, severity: str) -> list[Markup]:
    """Where the line takes the severity's hue: inside its bands, beyond the limit or the expected range."""
    bands = [band for band in plot.bands if band.kind == severity]
    if plot.limit is not None:
        return [_rect(plot, band.from_ms, band.to_ms, -HEIGHT, _y(plot, plot.limit)) for band in bands]
    if plot.expected is None:
        return []
    low, high = (_y(plot, value) for value in plot.expected)
    above = [_rect(plot, band.from_ms, band.to_ms, -HEIGHT, high) for band in bands]
    return above + [_rect(plot, band.from_ms, band.to_ms, low, 2 * HEIGHT) for band in bands]


def _rect(plot: Plot, from_ms: float, to_ms: float, top: int, bottom: int, class_: str | None = None) -> Markup:
    left, right = (round(WIDTH * plot.span.share(at)) for at in (from_ms, to_ms))
    # A band of a moment is still to be seen.
    return tag("rect", x=left, y=top, width=max(4, right - left), height=max(0, bottom - top), class_=class_)


def _y(plot: Plot, value: float) -> int:
    return round(HEIGHT * (1 - plot.within.share(value)))


def _time_axis(plot: Plot) -> list[Markup]:
    parts: list[Markup] = []
    for at_ms, text in plot.times:
        x = f"{100 * plot.span.share(at_ms):.2f}%"
        parts.append(tag("line", x1=x, x2=x, y1=0, y2=plot.height_px, class_="grid"))
        parts.append(tag("text", text, x=x, y=plot.height_px + 15, class_="tick middle"))
    return parts


def _value_axis(plot: Plot, axis: int) -> Markup:
    places = [(plot.height_px * (1 - plot.within.share(value)), text) for value, text in plot.values]
    texts = [
        tag("text", text, x=6, y=round(min(max(y, 7), plot.height_px - 5) + 4), class_="tick") for y, text in places
    ]
    return tag("svg", joined(*texts), class_="values", height=plot.height_px + axis, aria_hidden="true")
