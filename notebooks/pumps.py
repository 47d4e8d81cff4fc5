"""Emulated pumps that live through a fault whose truth is known, and the alarms that the detector gives of it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detection.explain import Findings
from detection.fit import fit
from detection.model import Model
from edge.faults import Fault, Stop
from edge.metrics import NAMES
from edge.pump import Pump
from notebooks.evidence import alarms

# Half an hour of healthy running is learned, as the product does; ten minutes later something happens.
_START_S, _LEARN_S, _REST_S, _CALM_S = 1_763_800_000, 1800, 600, 100
ONSET_S = _START_S + _LEARN_S + _REST_S + _CALM_S
# A fault that breaks out, one that takes a minute, and one that takes ten.
RAMPS_S = (4.0, 60.0, 600.0)
# Long enough for the slowest to be full size for three minutes.
_WATCHED_S = 900


class Machine:
    """One pump that has learned its healthy running, given by `seed`."""

    def __init__(self, seed: int) -> None:
        self._pump = Pump(seed)
        self.model: Model = fit(
            np.array(self._pump.measure(_START_S, _LEARN_S)), _times(_START_S, _LEARN_S), NAMES
        ).model

    def alarms(
        self, faults: Sequence[Fault] = (), stops: Sequence[Stop] = (), offset: tuple[int, float] | None = None
    ) -> list[Findings]:
        """What the detector says of a quarter of an hour with these; `offset`: channel and healthy deviations."""
        first_s = ONSET_S - _CALM_S
        values = np.array(self._pump.measure(first_s, _WATCHED_S, faults, stops))
        if offset is not None:
            channel, deviations = offset
            values[_CALM_S:, channel] += deviations * self.model.deviation[channel]
        return [found for _, found in alarms(self.model, _times(first_s, _WATCHED_S), values)]


def _times(first_s: int, count: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    return 1000 * (first_s + np.arange(count, dtype=np.int64))
