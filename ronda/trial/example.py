"""What is tried when nobody names a file: an emulated pump whose bearing begins to wear."""

from __future__ import annotations

import numpy as np

from edge.faults import Fault, FaultKind
from edge.metrics import METRICS
from edge.pump import Pump
from ronda.trial.recording import Recording
from ronda.trial.said import Said

_SEED = 7
_ROWS, _ONSET, _RAMP = 90 * 60, 75 * 60, 120


def emulated(now_ms: int) -> Recording:
    """The last hour and a half of a pump at one reading a second; it wears from minute 75 on."""
    first_s = now_ms // 1000 - _ROWS
    wear = Fault(kind=FaultKind.BEARING_WEAR, onset_s=first_s + _ONSET, ramp_s=_RAMP)
    pump = Pump(_SEED)
    faulty = np.zeros(_ROWS, dtype=np.int64)
    faulty[_ONSET:] = 1
    return Recording(
        name="pump-07",
        times=1000 * np.arange(first_s, first_s + _ROWS, dtype=np.int64),
        values=np.array(pump.measure(first_s, _ROWS, [wear])),
        metrics=list(pump.metrics),
        units={metric.name: metric.unit for metric in METRICS},
        labels={"bearing_wear": faulty},
        notes=[
            Said("An emulated pump, 90 minutes at one reading a second; its drive-end bearing wears from minute 75 on.")
        ],
    )
