"""The answer first: one sentence, the score over time, and what it adds up to."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from detection.model import Maturity
from ronda.trial.comparison import Comparison
from ronda.trial.page.chart import Band, Plot, drawn
from ronda.trial.page.glyphs import badge, glyph
from ronda.trial.page.line import path
from ronda.trial.page.markup import Markup, joined, tag
from ronda.trial.page.scale import Span, score_range, score_ticks, time_ticks
from ronda.trial.search import Found, Trial
from ronda.trial.words import Words

# What an alarm can look like, the worst first.
LOOKS = ("critical", "warning", "sensor")
# The score of a whole recording is looked at closely; the slices of a sensor's picture are coarser.
_SLICES = 700
# The window that a hole in the data must be as wide as, for the line to break.
_GAP_ROWS = 20


def headline(trial: Trial, say: Words) -> str:
    """What was found, in a sentence; in two where a sensor failed."""
    data, failed = say.duration(trial.judged_ms), len(trial.found) - len(trial.anomalies)
    if not trial.found:
        return say("Nothing unusual in {data} of data.", data=data)
    first = say("No anomaly in {data} of data.", data=data)
    if n := len(trial.anomalies):
        first = say.count(
            "Found {n} anomaly in {data} of data.", "Found {n} anomalies in {data} of data.", n, data=data
        )
    second = say.count("A sensor failed once.", "Sensors failed {n} times.", failed) if failed else ""
    return f"{first} {second}".strip()


def facts(trial: Trial, say: Words) -> Markup:
    """Four figures that put the headline into proportion."""
    outside = sum(until - since for since, until in spans(trial, trial.anomalies))
    share = say.percent(outside / trial.judged_ms) if trial.judged_ms else say.percent(0)
    learned = say.duration(_learned_ms(trial))
    return tag(
        "dl",
        _fact(say("Severity"), _severities(trial, say), None),
        _fact(say("Outside normal"), say.duration(outside), say("{share} of what was judged", share=share)),
        _fact(say("Judged"), say.duration(trial.judged_ms), _judged(trial, say)),
        _fact(
            say("Learned from"),
            learned,
            joined(say.count("{n} reading", "{n} readings", trial.learn), " ", grown(trial, say)),
        ),
        class_="facts",
    )


def grown(trial: Trial, say: Words) -> Markup:
    """How far what was learned can be trusted."""
    if trial.fitted.model.maturity is Maturity.READY:
        return badge("ready", say("ready"))
    return badge("young", say("young"))


def spans(trial: Trial, found: Sequence[Found]) -> list[tuple[int, int]]:
    """Since when and until when each lasted, the end of the recording included."""
    end = int(trial.recording.times[-1])
    return [(each.since_ms, end if each.until_ms is None else each.until_ms) for each in found]


def score_chart(trial: Trial, comparison: Comparison | None, say: Words) -> Markup:
    """The score from the first reading to the last, with what was learned and what was found."""
    times = trial.recording.times
    span = Span(int(times[0]), int(times[-1]))
    highest = float(np.nanmax(trial.scores)) if np.isfinite(trial.scores).any() else 0.0
    within = score_range(highest)
    ticks, step = time_ticks(span, trial.recording.zone)
    plot = Plot(
        label=say("Anomaly score over time; the limit is 1. {headline}", headline=headline(trial, say)),
        path=path(times, trial.scores, span, within, _GAP_ROWS * trial.recording.cadence_ms, _SLICES),
        span=span,
        within=within,
        height_px=190,
        bands=_bands(trial),
        limit=1.0,
        times=[(tick, say.tick(tick, step)) for tick in ticks],
        values=[(tick, say.number(tick)) for tick in score_ticks(within)],
    )
    return tag(
        "div",
        _legend(trial, comparison, say),
        tag(
            "div",
            drawn(plot, "score"),
            _label_lane(comparison, span, say),
            class_="charts",
            data_name=say("Score"),
        ),
        class_="card score",
    )


def _learned_ms(trial: Trial) -> int:
    return int(trial.recording.times[trial.learn - 1] - trial.recording.times[0])


def _fact(name: str, value: str, note: str | None) -> Markup:
    small = None if note is None else tag("dd", note, class_="note")
    return tag("div", tag("dt", name), tag("dd", value, class_="value"), small)


def _severities(trial: Trial, say: Words) -> Markup:
    if not trial.found:
        return tag("span", glyph("ready"), say("none"), class_="severity ready")
    looks = Counter(found.look for found in trial.found)
    counted = ((name, looks[name]) for name in LOOKS if looks[name])
    return joined(
        *(tag("span", glyph(name), f"{say.number(n)} {say(name)}", class_=f"severity {name}") for name, n in counted)
    )


def _judged(trial: Trial, say: Words) -> str:
    text = say.count("{n} reading", "{n} readings", len(trial.scores) - trial.learn)
    rows = sum(after - first for first, after in trial.unjudged)
    return f"{text} · {say('{rows} not judged', rows=rows)}" if rows else text


def _bands(trial: Trial) -> list[Band]:
    times = trial.recording.times
    learned = Band("learned", float(times[0]), float(times[trial.learn - 1]))
    found = [Band(found.look, *span) for found, span in zip(trial.found, spans(trial, trial.found), strict=True)]
    silent = [Band("unjudged", float(times[first]), float(times[after - 1])) for first, after in trial.unjudged]
    return [learned, *silent, *found]


def _legend(trial: Trial, comparison: Comparison | None, say: Words) -> Markup:
    kinds = {found.look for found in trial.found}
    entries = [("seen", say("score")), ("limit", say("limit 1")), ("learned", say("learned as normal"))]
    entries += [(kind, say(kind)) for kind in LOOKS if kind in kinds]
    if trial.unjudged:
        entries.append(("unjudged", say("not judged: off, starting or silent")))
    if comparison:
        entries.append(("label", say("faulty by “{label}”", label=comparison.label)))
    return tag("ul", *(tag("li", _key(kind), text) for kind, text in entries), class_="legend")


def _key(kind: str) -> Markup:
    if kind in {"seen", "limit"}:
        shape = tag("line", x1=0, x2=18, y1=6, y2=6, class_=kind)
    else:
        shape = tag(
            "rect",
            x=0,
            y=1 if kind != "label" else 4,
            width=18,
            height=10 if kind != "label" else 4,
            class_=f"band {kind}",
        )
    return tag("svg", shape, viewBox="0 0 18 12", class_="key", aria_hidden="true")


def _label_lane(comparison: Comparison | None, span: Span, say: Words) -> Markup | None:
    """A thin lane below the chart that shows what the file itself calls faulty."""
    if comparison is None:
        return None
    rects = []
    for stretch in comparison.stretches:
        left, right = (100 * span.share(at) for at in (stretch.since_ms, stretch.until_ms))
        rects.append(
            tag("rect", x=f"{left:.2f}%", width=f"{max(0.2, right - left):.2f}%", y=0, height=5, class_="band label")
        )
    label = say("What the file calls faulty")
    lane = tag("svg", *rects, role="img", aria_label=label, width="100%", height=5)
    return tag("div", tag("div", lane, class_="field"), class_="plot lane")
