"""The pump rig's recordings (SKAB), under the names that Ronda gives to the same sensors, and what is known of each."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from detection.rows import Floats, Ints
from edge.metrics import NAMES
from notebooks.sources import data_file

VALVE, FLUID, IMBALANCE = "closing valve", "fluid lost or added", "rotor imbalance"
# As the data set's own description has it. The three days on which they were recorded are, sadly, the three faults.
FAULTS = {
    **{f"valve2/{number}": VALVE for number in range(4)},
    **{f"other/{number}": FLUID for number in range(1, 5)},
    **{f"other/{number}": IMBALANCE for number in range(5, 8)},
}
# The benchmark's protocol: these many rows are healthy and may be learned from.
LEARNED_ROWS = 400
# Its fault is in the middle of the rows that would be learned from.
UNUSABLE = frozenset({"other/2"})

_SENSORS = (
    "Accelerometer1RMS",
    "Accelerometer2RMS",
    "Current",
    "Pressure",
    "Temperature",
    "Thermocouple",
    "Voltage",
    "Volume Flow RateRMS",
)
CHANNELS = NAMES
SHORT = ("vibration DE", "vibration NDE", "current", "pressure", "motor temp.", "fluid temp.", "voltage", "flow")
"""The same for a picture: drive end and non-drive end, which the rig's description leaves open."""


class Recording(NamedTuple):
    """n rows: times, values (n, 8) in the order of CHANNELS, and which rows are labelled faulty."""

    name: str
    fault: str
    times: Ints
    values: Floats
    faulty: NDArray[np.bool_]

    @property
    def day(self) -> str:
        """When it was made."""
        return datetime.fromtimestamp(int(self.times[0]) / 1000, UTC).date().isoformat()


def files(folder: Path) -> list[Path]:
    """The files of all labelled recordings that are there for development."""
    return [data_file(folder, f"skab/{name}.csv") for name in FAULTS]


def recordings(folder: Path) -> list[Recording]:
    """Read them all, by fault."""
    return [_read(name, file) for name, file in zip(FAULTS, files(folder), strict=True)]


def healthy_file(folder: Path) -> Path:
    """The rig's healthy run, which has no labels since it needs none."""
    return data_file(folder, "skab/anomaly-free/anomaly-free.csv")


def healthy_recording(folder: Path) -> tuple[Ints, Floats]:
    """Times (n) and values (n, 8) of the rig's healthy run, in the order of CHANNELS."""
    rows = _rows(healthy_file(folder))
    return _times(rows), _values(rows)


def _read(name: str, file: Path) -> Recording:
    rows = _rows(file)
    faulty = np.array([float(row["anomaly"]) == 1 for row in rows])
    return Recording(name, FAULTS[name], _times(rows), _values(rows), faulty)


def _rows(file: Path) -> list[dict[str, str]]:
    with file.open(newline="") as lines:
        return list(csv.DictReader(lines, delimiter=";"))


def _times(rows: Sequence[dict[str, str]]) -> Ints:
    moments = [datetime.fromisoformat(row["datetime"]).replace(tzinfo=UTC) for row in rows]
    return np.array([round(moment.timestamp() * 1000) for moment in moments], dtype=np.int64)


def _values(rows: Sequence[dict[str, str]]) -> Floats:
    return np.array([[float(row[sensor]) for sensor in _SENSORS] for row in rows])
