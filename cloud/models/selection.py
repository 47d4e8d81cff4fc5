"""Which stored readings a machine learns its healthy running from: what people said of its alarms decides."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from cloud.storage.model_versions import LeftOut
from cloud.storage.verdicts import Episode, Judgement
from contract.events import AlarmKind
from detection.rows import Ints

# A fault begins before the detector can see it and is not over with the first healthy reading: five minutes on each
# side are a tenth of what a first model learns from, and longer than any window that it looks through.
MARGIN_MS = 5 * 60_000
# A week at one reading a second: what a plant does comes back within a week. Of more, the latest are taken; never every
# other one, since the limits belong to the cadence of the readings.
MAX_ROWS = 7 * 24 * 3600
# A week of four channels, half a week of eight: a fit on it takes 430 MB, which has room beside MLflow in the trainer's
# container of 1 GiB; one on twice as many took 740 MB. A machine with more channels learns from fewer rows.
MAX_NUMBERS = 4 * MAX_ROWS

MARKED = "marked as faulty"
_WHY = {
    Judgement.TRUE: "confirmed alarm",
    Judgement.PLANNED: "planned work",
    None: "alarm that nobody judged",
}


def left_out(
    episodes: Iterable[Episode], marked: Sequence[tuple[int, int]], through_ms: int, *, margin_ms: int = MARGIN_MS
) -> list[LeftOut]:
    """The periods not to learn from, by their beginning: alarms and what a person `marked` (from, through) as faulty.

    An alarm that a person called false stays in, which is how the detector is taught. One that is still on lasts until
    `through_ms`.
    """
    periods = [
        LeftOut(
            from_ms=episode.since_ms - margin_ms,
            through_ms=(through_ms if episode.cleared_at_ms is None else episode.cleared_at_ms) + margin_ms,
            why=_WHY[episode.verdict],
        )
        for episode in episodes
        # A limit that people set, a trend, a sensor that stands still: the machine may be as healthy as ever.
        if episode.kind is AlarmKind.ANOMALY and episode.verdict is not Judgement.FALSE
    ]
    periods += [LeftOut(from_ms=start, through_ms=end, why=MARKED) for start, end in marked]
    return sorted(periods, key=lambda period: (period.from_ms, period.through_ms))


def merged(periods: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """The same (from, through) by their beginning and apart: each reading is in one of them at most."""
    apart: list[tuple[int, int]] = []
    for start, end in sorted(periods):
        if apart and start <= apart[-1][1]:
            apart[-1] = (apart[-1][0], max(apart[-1][1], end))
        else:
            apart.append((start, end))
    return apart


def most_rows(channels: int) -> int:
    """How many readings of a machine with so many channels are learned from at most."""
    return min(MAX_ROWS, MAX_NUMBERS // max(channels, 1))


def healthy(measured_at_ms: Ints, periods: Sequence[LeftOut]) -> NDArray[np.bool_]:
    """Which of n readings, by their times (n), are in none of the periods."""
    kept = np.ones(len(measured_at_ms), dtype=bool)
    for start, end in merged(period.span for period in periods):
        kept &= (measured_at_ms < start) | (measured_at_ms > end)
    return kept
