"""The Skoltech Anomaly Benchmark with the agent's own detector, for a scorer that calls `fit(train)` and `score(test)`.

Two settings differ from those for people: the benchmark counts rows, not mails, so its published operating point
(sensitivity 1.5, a window of 10 rows, cleared after 5) is used, and nothing has to last.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from detection.detector import Detector
from detection.episode import Phase
from detection.fit import fit as learn
from detection.kinds import Alarm
from detection.model import Model
from detection.settings import Settings

SETTINGS = Settings(window=10, sensitivity=1.5, min_duration_ms=0, clear_rows=5)


class Fitted:
    """What the scorer asks: scores and flags of the rows that follow those learned from."""

    def __init__(self, model: Model) -> None:
        self.model = model

    def score(self, test: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """`test` is a DataFrame with a time index; returns scores (n), flags and change points (n, 0 or 1)."""
        detector = Detector(self.model)
        changes = detector.process(_times(test), test.to_numpy(dtype=float).T, list(test.columns))
        turns = np.zeros(len(test), dtype=int)
        for change in changes:
            if change.alarm is not Alarm.ANOMALY:
                continue
            turns[change.row] += {Phase.RAISED: 1, Phase.UPDATED: 0, Phase.CLEARED: -1}[change.phase]
        points = np.zeros(len(test), dtype=int)
        points[detector.turns] = 1
        return np.nan_to_num(detector.scores), np.cumsum(turns), points


def fit(train: Any) -> Fitted:
    """Learn from a DataFrame of healthy rows with a time index."""
    return Fitted(learn(train.to_numpy(dtype=float), _times(train), list(train.columns), SETTINGS).model)


def _times(frame: Any) -> np.ndarray:
    return np.asarray(frame.index.to_numpy(), dtype="datetime64[ms]").astype(np.int64)
