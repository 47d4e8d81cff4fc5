"""What happens to a pump: the kinds of fault, when they begin, how far they have grown; and planned stops."""

from __future__ import annotations

import enum
import math

import msgspec
import numpy as np
from numpy.typing import NDArray

Seconds = NDArray[np.float64]
Share = NDArray[np.float64]

# A small pump without a flywheel, started direct on line: its own hydraulic load stops it within seconds, and it is up
# to speed a little slower, against that load. At 1 Hz both are seen as a few rows.
RUN_DOWN_TAU_S = 1.5
RUN_UP_TAU_S = 2.0


class FaultKind(enum.StrEnum):
    """What can go wrong with an emulated pump; what each looks like stands in `edge.signatures`."""

    IMBALANCE = "imbalance"
    BEARING_WEAR = "bearing_wear"
    CAVITATION = "cavitation"
    BLOCKED_VALVE = "blocked_valve"
    OVERHEATING = "overheating"


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One fault: from `onset_s` (UTC epoch seconds) it grows over `ramp_s` to its full size, and is gone at `end_s`."""

    kind: FaultKind
    onset_s: float
    ramp_s: float
    end_s: float = math.inf

    def severity(self, at_s: Seconds) -> Share:
        """How far the fault has grown at these times: 0 none, 1 full."""
        grown = np.clip((at_s - self.onset_s) / self.ramp_s, 0.0, 1.0)
        return np.where(at_s < self.end_s, grown, 0.0)

    def heat(self, at_s: Seconds, tau_s: float) -> Share:
        """The severity as a thermal mass feels it: through a first-order lag with time constant `tau_s`."""
        return _lagged_ramp(at_s, self.onset_s, self.ramp_s, self.end_s, tau_s)


class Stop(msgspec.Struct, frozen=True, kw_only=True):
    """A planned stop: switched off at `begin_s` and started again at `end_s` (UTC epoch seconds)."""

    begin_s: float
    end_s: float

    def speed(self, at_s: Seconds) -> Share:
        """Share of the rated speed: running down, standing, running up."""
        off = np.exp(-np.maximum(at_s - self.begin_s, 0.0) / RUN_DOWN_TAU_S)
        return np.where(at_s < self.end_s, off, 1.0 - self._run_up(at_s))

    def starting(self, at_s: Seconds) -> Share:
        """The slip left after the start, 1 at standstill: what makes the motor draw its start current."""
        return np.where(at_s < self.end_s, 0.0, self._run_up(at_s))

    def cooling(self, at_s: Seconds, tau_s: float) -> Share:
        """Share of its own heat that the motor has lost, 0 to 1."""
        return _lagged_ramp(at_s, self.begin_s, 1.0, self.end_s, tau_s)

    def _run_up(self, at_s: Seconds) -> Share:
        return np.exp(-np.maximum(at_s - self.end_s, 0.0) / RUN_UP_TAU_S)


def _lagged_ramp(at_s: Seconds, onset_s: float, ramp_s: float, end_s: float, tau_s: float) -> Share:
    """First-order response to an input that rises from 0 to 1 over `ramp_s`, stays, and drops to 0 at `end_s`."""
    lit = np.minimum(at_s, end_s) - onset_s
    grown = (_lagged_slope(lit, tau_s) - _lagged_slope(lit - ramp_s, tau_s)) / ramp_s
    return grown * np.exp(-np.maximum(at_s - end_s, 0.0) / tau_s)


def _lagged_slope(since_s: Seconds, tau_s: float) -> NDArray[np.float64]:
    """What a first-order lag makes of an input that has risen by 1 a second for `since_s`; 0 before it began."""
    since = np.maximum(since_s, 0.0)
    return since - tau_s * (1.0 - np.exp(-since / tau_s))
