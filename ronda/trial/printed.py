"""What the terminal says: a short table for people, one JSON object for machines."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator

import msgspec

from ronda.trial.comparison import Comparison
from ronda.trial.page.evidence import lasted_ms
from ronda.trial.page.lesson import verdict
from ronda.trial.page.overview import headline
from ronda.trial.search import Found, Trial
from ronda.trial.words import Words

_GLYPHS = {"critical": "▲", "warning": "◆", "sensor": "●"}
# Beyond this the page is the better place.
_MOST = 20
_WIDTH = 100


def lines(trial: Trial, comparison: Comparison | None, say: Words) -> Iterator[str]:
    """For people, up to the line that says where the page is."""
    recording = trial.recording
    counted = say.counted(len(recording.times), len(recording.metrics))
    yield f"{recording.name}: {counted}, {say.every(recording.cadence_ms)}"
    yield from (say.told(note) for note in recording.notes)
    if out := [*recording.left_out, *trial.fitted.report.excluded]:
        yield textwrap.shorten(say("Left out: {names}.", names=", ".join(out)), _WIDTH, placeholder=" …")
    yield _learned(trial, say)
    yield ""
    yield headline(trial, say)
    for number, found in enumerate(trial.found[:_MOST], 1):
        yield from _entry(trial, number, found, say)
    if len(trial.found) > _MOST:
        yield f"   … +{len(trial.found) - _MOST}"
    if comparison is not None:
        yield ""
        yield verdict(comparison, say)
    yield ""


def as_json(trial: Trial, comparison: Comparison | None, page: str) -> bytes:
    """For machines: all that stands on the page but the pictures."""
    recording, report = trial.recording, trial.fitted.report
    return msgspec.json.encode(
        {
            "file": recording.name,
            "page": page,
            "rows": len(recording.times),
            "from_ms": int(recording.times[0]),
            "to_ms": int(recording.times[-1]),
            "elapsed": recording.elapsed,
            "cadence_ms": recording.cadence_ms,
            "sensors": recording.metrics,
            "left_out": {name: str(why) for name, why in recording.left_out.items()} | report.excluded,
            "notes": [str(note) for note in recording.notes],
            "learned": {"rows": trial.learn, "maturity": trial.fitted.model.maturity, "report": report},
            "judged_ms": trial.judged_ms,
            "anomalies": [_as_told(found) for found in trial.found],
            "comparison": comparison,
        }
    )


def _as_told(found: Found) -> dict[str, object]:
    why = found.raised
    return {
        "since_ms": found.since_ms,
        "raised_ms": found.raised_ms,
        "until_ms": found.until_ms,
        "alarm": found.alarm,
        "severity": found.severity,
        "peak_score": round(found.peak_score, 3),
        "new_level": found.new_level,
        "question": why.kind,
        "sentence": why.sentence,
        "cause": found.cause,
        "sensors": why.sensors,
    }


def _learned(trial: Trial, say: Words) -> str:
    share = trial.fitted.report.exceedance
    told = (
        say("{share} of their last third is beyond the limit", share=say.percent(share)) if share is not None else None
    )
    return say(
        "Learned from the first {n} readings ({span}): {maturity}; {exceedance}.",
        n=trial.learn,
        span=say.duration(int(trial.recording.times[trial.learn - 1] - trial.recording.times[0])),
        maturity=say(trial.fitted.model.maturity.value),
        exceedance=told or say("exceedance unknown"),
    )


def _entry(trial: Trial, number: int, found: Found, say: Words) -> Iterator[str]:
    lasted = say.duration(lasted_ms(trial, found))
    until = say("the end of the data") if found.until_ms is None else say.moment(found.until_ms)
    when = say("{since} to {until}", since=say.moment(found.since_ms, day=True), until=until)
    yield f"{number:3} {_GLYPHS[found.look]} {say(found.look):9} {when} ({lasted})"
    indent = " " * 6
    yield textwrap.fill(found.raised.sentence[say.language], _WIDTH, initial_indent=indent, subsequent_indent=indent)
    sensors = [f"{say.sensor(sensor.name)} {say.percent(sensor.share)}" for sensor in found.raised.sensors[:3]]
    yield indent + ", ".join(sensors)
    if found.cause is not None:
        yield textwrap.fill(found.cause.sentence[say.language], _WIDTH, initial_indent=indent, subsequent_indent=indent)
