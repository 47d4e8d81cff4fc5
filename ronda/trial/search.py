"""Learns from the beginning, watches the rest with the detector of the running product, and gathers what it found."""

from __future__ import annotations

import msgspec
import numpy as np

from detection.change import Change
from detection.detector import Detector
from detection.episode import Phase, Severity
from detection.errors import FitError, ModelError
from detection.explain import Explanation
from detection.fit import Fitted, fit
from detection.kinds import Alarm
from detection.naming import Cause, cause_of
from detection.rows import Floats
from detection.settings import Settings
from ronda.trial.errors import TrialError
from ronda.trial.lesson import learned_rows
from ronda.trial.recording import Recording

# The detector's ten seconds of patience are ten readings at one a second: as many at a slower rate. A recording of a
# few seconds gets a fiftieth of its length.
_PATIENT_ROWS, _PATIENT_SHARE = 10, 50
# As many rows at once as keep the intermediate results within a few megabytes.
_BLOCK = 20_000


class Found(msgspec.Struct, kw_only=True):
    """One stretch outside normal running. `until_ms` is None when it lasted to the end of the recording.

    `raised` explains it as a person would have been told first, `worst` as it stood last when that is something else.
    """

    since_ms: int
    raised_ms: int
    until_ms: int | None = None
    alarm: Alarm
    severity: Severity
    peak_score: float
    new_level: bool = False
    raised: Explanation
    worst: Explanation | None = None

    @property
    def about_sensor(self) -> bool:
        """Is it a sensor that failed, and not the machine?"""
        return self.alarm is Alarm.SENSOR

    @property
    def look(self) -> str:
        """How it is shown: `critical` or `warning`, or `sensor` where the machine is not judged."""
        return "sensor" if self.about_sensor else self.severity.value

    @property
    def cause(self) -> Cause | None:
        """What it looks like by the rules, at its clearest; None where they do not tell."""
        return cause_of(self.worst or self.raised)


class Trial(msgspec.Struct, frozen=True, kw_only=True):
    """A recording, what was learned from its first `learn` rows, a score for each row (n), and what was found."""

    recording: Recording
    learn: int
    fitted: Fitted
    scores: Floats
    found: list[Found]

    @property
    def anomalies(self) -> list[Found]:
        """What was found about the machine, sensors that failed aside."""
        return [found for found in self.found if not found.about_sensor]

    @property
    def judged_ms(self) -> int:
        """How much of the data's own time was judged."""
        times = self.recording.times
        return int(times[-1] - times[self.learn])

    @property
    def unjudged(self) -> list[tuple[int, int]]:
        """First row and the row after each stretch that got no score: machine off or starting, sensors silent."""
        silent = np.isnan(self.scores)
        silent[: self.learn] = False
        edges = np.flatnonzero(np.diff(silent, prepend=False, append=False)).tolist()
        least = 2 * self.fitted.model.settings.window
        return [(first, after) for first, after in zip(edges[::2], edges[1::2], strict=True) if after - first > least]


def tried(recording: Recording, *, learn: str | None = None, sensitivity: float | None = None) -> Trial:
    """Learn and watch. Raises: TrialError when nothing can be learned from the beginning."""
    rows = learned_rows(recording, learn)
    times, values = recording.times, recording.values
    try:
        fitted = fit(values[:rows], times[:rows], recording.metrics, _settings(recording, sensitivity))
    except FitError as error:
        raise TrialError(f"{recording.name}: nothing can be learned from the first {rows:,} rows: {error}") from error
    scores, _ = _watched(fitted, recording, 0, rows)
    judged, changes = _watched(fitted, recording, rows, len(times))
    found = _episodes(recording, changes)
    return Trial(recording=recording, learn=rows, fitted=fitted, scores=np.concatenate((scores, judged)), found=found)


def _settings(recording: Recording, sensitivity: float | None) -> Settings:
    settings = Settings(min_duration_ms=_patience_ms(recording))
    if sensitivity is None:
        return settings
    asked = msgspec.structs.replace(settings, sensitivity=sensitivity)
    try:
        asked.check()
    except ModelError as error:
        raise TrialError(f"--sensitivity {sensitivity:g}: {error}") from error
    return asked


def _patience_ms(recording: Recording) -> int:
    rows_ms = _PATIENT_ROWS * recording.cadence_ms
    whole_ms = int(recording.times[-1] - recording.times[0])
    return max(rows_ms, min(Settings().min_duration_ms, whole_ms // _PATIENT_SHARE))


def _watched(fitted: Fitted, recording: Recording, start: int, stop: int) -> tuple[Floats, list[tuple[int, Change]]]:
    """The score of each row from `start` to `stop`, and the changes with the row that decided each."""
    detector = Detector(fitted.model, device=recording.name, units=recording.units, tz=recording.zone)
    scores, changes = [np.empty(0)], list[tuple[int, Change]]()
    for first in range(start, stop, _BLOCK):
        part = slice(first, min(first + _BLOCK, stop))
        told = detector.process(recording.times[part], recording.values[part].T, recording.metrics)
        changes += [(first + change.row, change) for change in told]
        scores.append(detector.scores)
    return np.concatenate(scores), changes


def _episodes(recording: Recording, changes: list[tuple[int, Change]]) -> list[Found]:
    """Each alarm from raised to cleared; of each kind at most one is open at a time."""
    found: list[Found] = []
    latest: dict[Alarm, Found] = {}
    for row, change in changes:
        at_ms = int(recording.times[row])
        if change.phase is Phase.RAISED:
            latest[change.alarm] = _raised(change, at_ms)
            found.append(latest[change.alarm])
            continue
        episode = latest[change.alarm]
        episode.peak_score = max(episode.peak_score, change.peak_score)
        if change.severity is Severity.CRITICAL:
            episode.severity = Severity.CRITICAL
        if change.phase is Phase.CLEARED:
            episode.until_ms, episode.new_level = at_ms, change.new_level
        elif change.explanation.sentence != episode.raised.sentence:
            episode.worst = change.explanation
    return found


def _raised(change: Change, at_ms: int) -> Found:
    return Found(
        since_ms=change.since_ms,
        raised_ms=at_ms,
        alarm=change.alarm,
        severity=change.severity,
        peak_score=change.peak_score,
        raised=change.explanation,
    )
