"""What was found beside what the file's own label says: stretch by stretch, and every alarm outside them counted."""

from __future__ import annotations

import msgspec
import numpy as np

from ronda.trial.search import Found, Trial


class Labelled(msgspec.Struct, frozen=True, kw_only=True):
    """A stretch of rows that the file calls faulty. `delay_ms`: from its beginning until a person would have been told.

    `learned`: it begins in the part that was taken for healthy. `delay_ms` is None where nothing was raised in it, and
    0 where an alarm was already open.
    """

    since_ms: int
    until_ms: int
    learned: bool
    delay_ms: int | None

    @property
    def found(self) -> bool:
        """Was an alarm open at any time in it?"""
        return self.delay_ms is not None


class Comparison(msgspec.Struct, frozen=True, kw_only=True):
    """The label's name, its stretches, and how many anomalies touch none of them."""

    label: str
    stretches: list[Labelled]
    false_alarms: int
    learned_faulty_rows: int


def compared(trial: Trial) -> Comparison | None:
    """None for a file without a label."""
    name = trial.recording.stretch
    if name is None:
        return None
    faulty = trial.recording.labels[name]
    spans = [_span(trial, first, last) for first, last in _runs(faulty)]
    touched = [any(_overlap(trial, found, span.since_ms, span.until_ms) for span in spans) for found in trial.anomalies]
    return Comparison(
        label=name,
        stretches=spans,
        false_alarms=touched.count(False),
        learned_faulty_rows=int(faulty[: trial.learn].sum()),
    )


def _runs(faulty: np.typing.NDArray[np.int64]) -> list[tuple[int, int]]:
    """First and last row of each run of faulty rows."""
    edges = np.flatnonzero(np.diff(faulty, prepend=0, append=0))
    return [(int(first), int(after) - 1) for first, after in zip(edges[::2], edges[1::2], strict=True)]


def _span(trial: Trial, first: int, last: int) -> Labelled:
    since, until = int(trial.recording.times[first]), int(trial.recording.times[last])
    touching = [found for found in trial.found if _overlap(trial, found, since, until)]
    delay = max(0, touching[0].raised_ms - since) if touching else None
    return Labelled(since_ms=since, until_ms=until, learned=first < trial.learn, delay_ms=delay)


def _overlap(trial: Trial, found: Found, since_ms: int, until_ms: int) -> bool:
    end_ms = int(trial.recording.times[-1]) if found.until_ms is None else found.until_ms
    return found.raised_ms <= until_ms and end_ms >= since_ms
