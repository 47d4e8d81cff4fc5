"""The pump rig's recordings (SKAB), read from the data folder, and faults written onto them."""

from __future__ import annotations

import csv
from datetime import UTC, datetime
from typing import NamedTuple

import numpy as np

from detection.rows import Floats, Ints
from tests.support import datasets

_LABELS = {"anomaly", "changepoint"}


class Recording(NamedTuple):
    """n rows: times, values (n, k), metrics (k), and which rows are labelled faulty."""

    times: Ints
    values: Floats
    metrics: list[str]
    faulty: np.ndarray

    def rows(self, start: int, stop: int | None = None) -> Recording:
        """A part of it."""
        part = slice(start, stop)
        return Recording(self.times[part], self.values[part], self.metrics, self.faulty[part])


def recording(name: str) -> Recording:
    """A file such as `valve2/0` or `anomaly-free/anomaly-free`."""
    with datasets.recording(f"skab/{name}.csv").open(newline="") as file:
        rows = list(csv.DictReader(file, delimiter=";"))
    metrics = [column for column in rows[0] if column != "datetime" and column not in _LABELS]
    moments = [datetime.fromisoformat(row["datetime"]).replace(tzinfo=UTC) for row in rows]
    return Recording(
        np.array([round(moment.timestamp() * 1000) for moment in moments], dtype=np.int64),
        np.array([[float(row[metric]) for metric in metrics] for row in rows]),
        metrics,
        np.array([float(row.get("anomaly", 0)) == 1 for row in rows]),
    )


def with_fault(values: Floats, channel: int, *, start: int, kind: str, size: float, seed: int) -> Floats:
    """`values` (n, k) with a fault on one channel from row `start`; `size` in that channel's units."""
    rng = np.random.default_rng(seed)
    rows = np.arange(len(values) - start)
    sign = rng.choice([-1.0, 1.0])
    shapes = {
        "step": sign * np.ones(len(rows)),
        "ramp": sign * np.minimum(rows / 60, 1.0),
        "spikes": sign * (rows % 3 == 0),
        "noise": rng.standard_normal(len(rows)),
    }
    out = values.copy()
    out[start:, channel] += size * shapes[kind]
    return out
