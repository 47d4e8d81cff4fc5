"""How much memory scoring takes: in fresh processes, once with NumPy alone and once with machines being judged."""

from __future__ import annotations

import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

from detection.model import Model

ROUNDS = 3
_PSS = """
def pss_mb():
    with open("/proc/self/smaps_rollup") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("Pss:")) / 1000
"""
_NUMPY = f"{_PSS}\nimport numpy\nprint(pss_mb())"
# Each machine has a model of its own, as in a plant, and has been judged until its memory of rows is full.
_SCORING = f"""{_PSS}
import sys
import numpy
from detection.detector import Detector
from detection.model import Model
seen = numpy.load(sys.argv[1])
detectors = []
for _ in range(int(sys.argv[2])):
    model = Model.from_bytes(seen["model"].tobytes())
    detectors.append(Detector(model))
    detectors[-1].process(seen["times"], seen["values"].T, model.metrics)
print(pss_mb())
"""


def beyond_numpy(model: Model, times: np.ndarray, values: np.ndarray, machines: int) -> list[float]:
    """MB (proportional set size) that a process which judges so many machines has more than one with NumPy alone.

    Each judges the same healthy readings: times (n) and values (n, k), in the order of the model's metrics.
    """
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "seen.npz"
        np.savez(file, model=np.frombuffer(model.to_bytes(), dtype=np.uint8), times=times, values=values)
        alone = statistics.median(_resident(_NUMPY) for _ in range(ROUNDS))
        return [_resident(_SCORING, str(file), str(machines)) - alone for _ in range(ROUNDS)]


def _resident(code: str, *arguments: str) -> float:
    command = [sys.executable, "-c", code, *arguments]
    return float(subprocess.run(command, capture_output=True, check=True, timeout=300).stdout)
