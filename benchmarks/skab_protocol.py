"""The Skoltech Anomaly Benchmark's protocol: what is learned from, what is judged, and how that is counted.

Per recording the first 400 rows are learned from without their labels, all later ones are judged. Counts of rows are
summed over the recordings before one ratio is taken. Change points are the turns of the flag, and score by a variant of
Numenta's (NAB): a window of 60 s to the right of each true change point, whose first detection earns the more the
sooner it comes, and every detection outside a window costs (github.com/waico/SKAB, `core/metrics.py`, v0.9).
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import reduce
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray

Flags = NDArray[np.bool_]

LEARNED = 400
WINDOW_S = 60.0
# The development recordings: those that a design may be chosen on.
DEVELOPMENT = (*(f"valve2/{number}" for number in range(4)), *(f"other/{number}" for number in range(1, 8)))
# The reward falls as a hyperbolic tangent over ±π/2, read from a table of a thousand steps: the published figures do.
_STEPS = 1000
_TANH = np.tanh(np.linspace(-np.pi / 2, np.pi / 2, _STEPS)) / np.tanh(np.pi / 2)


class Profile(NamedTuple):
    """What a detection at a window's left edge earns, and what one outside and a missed window cost."""

    hit: float
    false_alarm: float
    miss: float


PROFILES: Mapping[str, Profile] = {
    "standard": Profile(1.0, -0.11, -1.0),
    "low FP": Profile(1.0, -0.22, -1.0),
    "low FN": Profile(1.0, -0.11, -2.0),
}


class Recording(NamedTuple):
    """One file: the rows learned from and the n judged, as tables without labels; and the labels of those judged.

    `seconds`: when each was measured, of an epoch.
    """

    name: str
    train: pd.DataFrame
    test: pd.DataFrame
    faulty: Flags
    changes: Flags
    seconds: NDArray[np.float64]


class Counts(NamedTuple):
    """Rows of one or more recordings by label and flag, and their change points: raw score, none's and the perfect."""

    true_alarms: int
    true_silence: int
    false_alarms: int
    missed: int
    nab: NDArray[np.float64]

    @property
    def f1(self) -> float:
        """Of faulty rows; an alarm that is always on has about 0.7."""
        return _ratio(self.true_alarms, self.true_alarms + (self.false_alarms + self.missed) / 2)

    @property
    def far(self) -> float:
        """False-alarm rate: percent of the healthy rows that are flagged."""
        return 100 * _ratio(self.false_alarms, self.false_alarms + self.true_silence)

    @property
    def mar(self) -> float:
        """Missed-alarm rate: percent of the faulty rows that are not flagged."""
        return 100 * _ratio(self.missed, self.missed + self.true_alarms)

    def nab_score(self, profile: str) -> float:
        """0 for no detection at all, 100 for one at the left edge of every window and no other."""
        raw, null, perfect = self.nab[list(PROFILES).index(profile)]
        return 100 * _ratio(raw - null, perfect - null)


def recordings(folder: Path, names: Sequence[str] = DEVELOPMENT) -> list[Recording]:
    """Those of `names` that are below `folder`."""
    return [_read(folder / f"{name}.csv", name) for name in names if (folder / f"{name}.csv").is_file()]


def counted(recording: Recording, flags: Flags, changes: Flags | None = None) -> Counts:
    """What the flags of the judged rows (n) are worth; its change points are the flag's turns where it names none."""
    faulty = recording.faulty
    return Counts(
        int((faulty & flags).sum()),
        int((~faulty & ~flags).sum()),
        int((~faulty & flags).sum()),
        int((faulty & ~flags).sum()),
        _nab(recording.seconds, recording.changes, turns(flags) if changes is None else changes),
    )


def pooled(counts: Sequence[Counts]) -> Counts:
    """All together."""
    return Counts(*(sum(parts[1:], parts[0]) for parts in zip(*counts, strict=True)))


def turns(flags: Flags) -> Flags:
    """Where the flag goes on or off; a first row that is flagged counts."""
    return np.diff(flags, prepend=False)


def windows(edges: NDArray[np.float64]) -> list[tuple[float, float]]:
    """A window of 60 s from each true change point; where two overlap, the later begins where the earlier ends."""
    found: list[tuple[float, float]] = []
    for edge in edges.tolist():
        begin = max(edge, found[-1][1]) if found else edge
        found.append((begin, edge + WINDOW_S))
    return found


def _nab(seconds: NDArray[np.float64], changes: Flags, detections: Flags) -> NDArray[np.float64]:
    """Per profile: raw score, that of no detection, that of a perfect one; shape (3, 3)."""
    detected, spans = seconds[detections], windows(seconds[changes])
    inside = [(detected >= begin) & (detected <= end) for begin, end in spans]
    outside = int((~reduce(np.logical_or, inside, np.zeros(len(detected), dtype=bool))).sum())
    late = [
        (detected[hits][0] - begin) / (end - begin)
        for (begin, end), hits in zip(spans, inside, strict=True)
        if hits.any()
    ]
    missed = len(spans) - len(late)
    rows = []
    for profile in PROFILES.values():
        raw = profile.false_alarm * outside + profile.miss * missed + sum(_reward(profile, share) for share in late)
        rows.append((raw, len(spans) * profile.miss, len(spans) * profile.hit))
    return np.array(rows)


def _reward(profile: Profile, share: float) -> float:
    """What a detection earns that comes after this share (0 to 1) of its window."""
    half = (profile.hit - profile.false_alarm) / 2
    return float(profile.false_alarm + half - half * _TANH[min(int(share * _STEPS), _STEPS - 1)])


def _read(path: Path, name: str) -> Recording:
    table = pd.read_csv(path, sep=";", index_col="datetime", parse_dates=True)
    judged, sensors = table.iloc[LEARNED:], table.drop(columns=["anomaly", "changepoint"])
    return Recording(
        name,
        sensors.iloc[:LEARNED],
        sensors.iloc[LEARNED:],
        judged["anomaly"].to_numpy() == 1,
        judged["changepoint"].to_numpy() == 1,
        judged.index.to_numpy().astype("datetime64[ns]").astype(np.int64) / 1e9,
    )


def _ratio(part: float, whole: float) -> float:
    return part / whole if whole else math.nan
