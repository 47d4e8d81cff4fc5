"""One card for each anomaly: what happened in a sentence, how the sensors looked, and each one's part in it."""

from __future__ import annotations

import numpy as np

from detection.explain import Explanation, Sensor
from ronda.trial.page.chart import Band, Plot, drawn
from ronda.trial.page.glyphs import badge
from ronda.trial.page.line import path
from ronda.trial.page.markup import Markup, breakable, tag
from ronda.trial.page.scale import Span, time_ticks, value_range, value_ticks
from ronda.trial.search import Found, Trial
from ronda.trial.words import NO_BREAK, Words

# Beyond four pictures nobody compares them any more.
_DRAWN = 4
# What is seen before and after: half as much again as the anomaly itself, and never less than two minutes at 1 Hz.
_AROUND_SHARE, _AROUND_ROWS = 0.5, 120
_GAP_ROWS = 20


def card(trial: Trial, found: Found, number: int, say: Words) -> Markup:
    """The evidence for the anomaly with this number, counted from 1."""
    title = tag("h3", found.raised.sentence[say.language], id=f"anomaly-{number}-title")
    head = tag(
        "div",
        tag("span", f"{number}", class_="number"),
        badge(found.look, say(found.look.capitalize())),
        tag("span", _when(trial, found, say), class_="when"),
        class_="card-head",
    )
    return tag(
        "article",
        head,
        title,
        _later(found, say),
        _cause(found, say),
        tag("div", _pictures(trial, found, number, say), _sensors(found.raised, say), class_="evidence"),
        _footer(trial, found, say),
        class_=f"card anomaly {found.look}",
        id=f"anomaly-{number}",
        aria_labelledby=f"anomaly-{number}-title",
    )


def until(found: Found, say: Words) -> str:
    """When it ended, or that it did not."""
    return say("the end of the data") if found.until_ms is None else say.moment(found.until_ms)


def lasted_ms(trial: Trial, found: Found) -> int:
    """How long it was outside, within the data."""
    return (int(trial.recording.times[-1]) if found.until_ms is None else found.until_ms) - found.since_ms


def _when(trial: Trial, found: Found, say: Words) -> str:
    since = say.moment(found.since_ms, day=True)
    return (
        say("{since} to {until}", since=since, until=until(found, say)) + f" · {say.duration(lasted_ms(trial, found))}"
    )


def _later(found: Found, say: Words) -> Markup | None:
    if found.worst is None:
        return None
    return tag("p", tag("span", say("Later:"), class_="meta"), " ", found.worst.sentence[say.language], class_="later")


def _cause(found: Found, say: Words) -> Markup | None:
    """What it looks like, and who says so: a help beside the evidence, never in its place."""
    if found.cause is None:
        return None
    source = tag("span", say("Source: {source}", source=found.cause.source), class_="meta")
    return tag(
        "p", tag("strong", say("Likely cause:")), " ", found.cause.sentence[say.language], " ", source, class_="cause"
    )


def _footer(trial: Trial, found: Found, say: Words) -> Markup:
    at, after = say.moment(found.raised_ms), found.raised_ms - found.since_ms
    texts = [say("Told at {at}, {after} after it began.", at=at, after=say.duration(after))]
    if found.about_sensor:
        # It began to stand still before: how long ago is what made it certain, and not told.
        texts = [say("Told at {at}.", at=at)]
    if not found.about_sensor:
        texts.append(say("Highest score {score}; the limit is 1.", score=say.fixed(found.peak_score, 1)))
    if found.new_level:
        texts.append(say("Recovered to a new level – verify."))
    if found.until_ms is None:
        texts.append(say("Still outside when the data end."))
    if gone := _silent(trial, found):
        texts.append(say("Silent meanwhile: {names}.", names=", ".join(map(say.sensor, gone))))
    return tag("p", " ".join(texts), class_="meta")


def _silent(trial: Trial, found: Found) -> list[str]:
    """Sensors that said nothing at all during the anomaly."""
    recording = trial.recording
    end = found.since_ms + lasted_ms(trial, found)
    rows = slice(np.searchsorted(recording.times, found.since_ms), np.searchsorted(recording.times, end, side="right"))
    mute = np.atleast_1d(np.isnan(recording.values[rows]).all(axis=0))
    return [recording.metrics[at] for at in np.flatnonzero(mute).tolist()]


def _pictures(trial: Trial, found: Found, number: int, say: Words) -> Markup:
    span = _around(trial, found)
    shown = found.raised.sensors[:_DRAWN]
    rows = [
        _picture(trial, found, sensor, span, f"a{number}s{at}", say, last=at == len(shown) - 1)
        for at, sensor in enumerate(shown)
    ]
    return tag("div", *rows, class_="charts pictures", data_name=say("Time"))


def _picture(trial: Trial, found: Found, sensor: Sensor, span: Span, key: str, say: Words, *, last: bool) -> Markup:
    plot = _plot(trial, found, sensor, span, say, last=last)
    label = tag(
        "div",
        tag("strong", breakable(say.sensor(sensor.name))),
        tag(
            "span",
            _amount(sensor.seen, sensor, say),
            class_="value outside-range" if sensor.outside else "value",
        ),
        tag("span", _against(sensor, say), class_="meta"),
        class_="about-sensor",
    )
    return tag("div", label, drawn(plot, key), class_="picture")


def _plot(trial: Trial, found: Found, sensor: Sensor, span: Span, say: Words, *, last: bool) -> Plot:
    recording = trial.recording
    column = recording.values[:, recording.metrics.index(sensor.name)]
    first, after = np.searchsorted(recording.times, (span.from_ms, span.to_ms + 1))
    seen = column[first:after]
    known = seen[~np.isnan(seen)]
    low, high = (float(known.min()), float(known.max())) if known.size else (sensor.expected_low, sensor.expected_high)
    within = value_range(min(low, sensor.expected_low), max(high, sensor.expected_high))
    ticks, places = value_ticks(within)
    moments, step = time_ticks(span, recording.zone)
    end = found.since_ms + lasted_ms(trial, found)
    return Plot(
        label=say(
            "{name} around the anomaly: {amount}, {against}",
            name=say.sensor(sensor.name),
            amount=_amount(sensor.seen, sensor, say),
            against=_against(sensor, say),
        ),
        path=path(recording.times[first:after], seen, span, within, _GAP_ROWS * recording.cadence_ms),
        span=span,
        within=within,
        name=say.sensor(sensor.name),
        height_px=92,
        bands=[Band(found.look, found.since_ms, end)],
        expected=(sensor.expected_low, sensor.expected_high),
        raised_ms=found.raised_ms,
        times=[(tick, say.tick(tick, step) if last else "") for tick in moments],
        values=[(tick, say.fixed(tick, places)) for tick in ticks],
    )


def _around(trial: Trial, found: Found) -> Span:
    times = trial.recording.times
    room = max(_AROUND_SHARE * lasted_ms(trial, found), _AROUND_ROWS * trial.recording.cadence_ms)
    end = found.since_ms + lasted_ms(trial, found)
    return Span(max(int(times[0]), int(found.since_ms - room)), min(int(times[-1]), int(end + room)))


def _sensors(why: Explanation, say: Words) -> Markup:
    names = [say("Sensor"), say("Seen"), say("Expected"), say("Share")]
    head = tag("tr", *(tag("th", name, scope="col") for name in names))
    rows = [_row(sensor, say) for sensor in why.sensors]
    caption = tag("caption", say("Each sensor's part, as it stood when it was told"))
    return tag("table", caption, tag("thead", head), tag("tbody", *rows), class_="shares")


def _row(sensor: Sensor, say: Words) -> Markup:
    seen = [tag("span", _amount(sensor.seen, sensor, say), class_="strong" if sensor.outside else None)]
    if sensor.ratio is not None:
        seen.append(
            tag("span", say("trembles {times} × as much", times=say.number(round(sensor.ratio, 1))), class_="meta")
        )
    bar = tag(
        "svg",
        tag("rect", width="100%", height=8, rx=2, class_="track"),
        tag(
            "rect",
            width=f"{100 * sensor.share:.1f}%",
            height=8,
            rx=2,
            class_="bar outside" if sensor.outside else "bar",
        ),
        width="100%",
        height=8,
        aria_hidden="true",
    )
    return tag(
        "tr",
        tag("th", breakable(say.sensor(sensor.name)), scope="row"),
        tag("td", *seen),
        tag("td", _range(sensor, say)),
        tag("td", tag("span", say.percent(sensor.share), class_="percent"), bar, class_="share"),
    )


def _amount(value: float, sensor: Sensor, say: Words) -> str:
    return say.number(value) + (f"{NO_BREAK}{sensor.unit}" if sensor.unit else "")


def _range(sensor: Sensor, say: Words) -> str:
    return say("{low} to {high}", low=sensor.expected_low, high=sensor.expected_high)


def _against(sensor: Sensor, say: Words) -> str:
    values = {"low": say.number(sensor.expected_low), "high": say.number(sensor.expected_high)}
    if not sensor.outside:
        return say("within {low} to {high}", **values)
    return (
        say("above {low} to {high}", **values)
        if sensor.seen > sensor.expected_high
        else say("below {low} to {high}", **values)
    )
