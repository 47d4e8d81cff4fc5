"""What comes back slowly after a stop: a motor is warm again an hour later, and until then its cold is no fault.

One idea: a channel that a stop or another speed has left outside its healthy range is left out for as long as it is on
its way back, steadily. When it arrives, passes to the other side or stops getting nearer, it is judged again.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from detection.errors import ModelError
from detection.regimes import Regimes
from detection.roles import Quantity
from detection.rows import Floats, Ints

Flags = NDArray[np.bool_]

# The healthy range reaches three deviations far, told by where 90 % of the rows are.
_INNER, _NINETY_PERCENT, _REACH = (0.05, 0.95), 1.645, 3.0
# A tenth nearer within five minutes at 1 Hz: what a first-order lag of up to 47 minutes does; a 10 kg motor has 10 to
# 20. What does not get nearer is not coming back.
_NEARER, _PATIENCE_ROWS = 0.9, 300

# After a hole nobody knows whether the machine stood: three times its reach away a channel is cold, not a little off.
_COLD = 3.0
# Half as far again as it ever was: it goes the other way.
_FURTHER = 1.5
# Home again at a third of that: at its edge a temperature still rises faster than it ever does in health.
_HOME_SHARE = 1 / 3
# A standing column keeps some pressure, a sensor some offset: below a quarter of its level a channel is silent.
_SILENT = 0.25
# Where no stop was seen: what leaves less than this of its variance in means over 40 rows changes from row to row.
_BLOCK, _DRIFTING = 40, 0.4

_HOME, _PENDING = 0, 2


class SlowChannels(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The channels (s, columns of a row) that take their time after a start, and where they are while it runs.

    `centre` and `reach` per running point (r × s), engineering units.
    """

    channels: list[int] = []
    centre: list[list[float]] = []
    reach: list[list[float]] = []

    def check(self, channels: int, running: int) -> None:
        """Raises: ModelError when these do not fit a machine with so many channels and running points."""
        if sorted(set(self.channels)) != self.channels or not all(0 <= at < channels for at in self.channels):
            raise ModelError(f"the slow channels must be rising and below {channels}, these are {self.channels}")
        for table in (self.centre, self.reach):
            if self.channels and [len(row) for row in table] != [len(self.channels)] * running:
                raise ModelError(f"slow channels need a row of {len(self.channels)} numbers per running point")
            if not all(math.isfinite(number) for row in table for number in row):
                raise ModelError("a slow channel's centre or reach is not finite")


def learn_slow(
    values: Floats, codes: Ints, regimes: Regimes, quantities: Sequence[Quantity | None] | None = None
) -> SlowChannels:
    """From healthy rows (n, k) and their operating points (n): none for a machine without a second point."""
    warm = [bool(quantities) and each is Quantity.TEMPERATURE for each in quantities or [None] * values.shape[1]]
    others = [c for c in range(values.shape[1]) if warm[c] or not _stops_at_once(c, values, codes, regimes)]
    parts = [values[codes == point] for point in range(regimes.running)]
    heard = [c for c in others if all(np.isfinite(part[:, c]).any() for part in parts)]
    if not heard or not regimes.channels:
        return SlowChannels()
    centres, reaches = [], []
    for part in parts:
        low, centre, high = np.nanquantile(part[:, heard], (_INNER[0], 0.5, _INNER[1]), axis=0)
        centres.append(centre.tolist())
        reaches.append((_REACH / _NINETY_PERCENT * np.maximum(high - centre, centre - low)).tolist())
    return SlowChannels(channels=heard, centre=centres, reach=reaches)


def _stops_at_once(channel: int, values: Floats, codes: Ints, regimes: Regimes) -> bool:
    """Does the channel fall silent with the machine, as vibration and flow do, or else change from row to row?

    Only one that keeps its value while the machine stands takes its time afterwards.
    """
    running = values[(codes >= 0) & (codes < regimes.running), channel]
    heard = running[np.isfinite(running)]
    standing = values[codes == regimes.off, channel] if regimes.off is not None else np.empty(0)
    if np.isfinite(standing).any() and len(heard):
        return bool(abs(np.nanmedian(standing)) < _SILENT * abs(np.median(heard)))
    whole = heard[: len(heard) // _BLOCK * _BLOCK].reshape(-1, _BLOCK)
    return len(whole) > 1 and bool(whole.mean(axis=1).var() < _DRIFTING * heard.var())


class ReturnState(msgspec.Struct):
    """The running point the machine is at (None: it is not running, or nothing was heard yet), and per slow channel
    (s) on which side of its range it is, how far off it last was, and since how many rows it has not come nearer.

    `left`: the machine was seen elsewhere before; what a detector finds when it begins is judged. `at_least`: how many
    times its reach a channel must be away to be on its way back.
    """

    place: int | None = None
    left: bool = False
    at_least: float = 1.0
    side: list[int] = []
    mark: list[float] = []
    waited: list[int] = []


class ReturnWatch:
    """Tells, row by row, which channels are still on their way back; goes on from `state` when there is one."""

    def __init__(self, slow: SlowChannels, channels: int, state: ReturnState | None = None) -> None:
        size = len(slow.channels)
        self.state = state or ReturnState(side=[_HOME] * size, mark=[0.0] * size, waited=[0] * size)
        self._slow = slow
        self._running = len(slow.centre)
        self._nothing = np.zeros((1, channels), dtype=bool)
        self._nothing.flags.writeable = False

    def process(self, values: Floats, codes: Ints) -> Flags:
        """Rows (n, k) with NaN where missing, and their operating points (n) → which values to leave out (n, k)."""
        if len(codes) == 1 and self.is_idle(int(codes[0])):
            return self._nothing
        if not self._slow.channels or (self._all_home() and bool((codes == self.state.place).all())):
            return np.zeros(values.shape, dtype=bool)
        returning = np.zeros(values.shape, dtype=bool)
        for row, code in enumerate(codes.tolist()):
            for channel in self._step(values[row], code):
                returning[row, channel] = True
        return returning

    def is_idle(self, code: int) -> bool:
        """Would a row at this operating point leave nothing out, and change nothing that is kept?"""
        return not self._slow.channels or (code == self.state.place and self._all_home())

    def interrupt(self) -> None:
        """A hole in the data: perhaps the machine stood, and a gateway was switched off with it."""
        size = len(self._slow.channels)
        self.state = ReturnState(left=True, at_least=_COLD, side=[_HOME] * size, mark=[0.0] * size, waited=[0] * size)

    def _all_home(self) -> bool:
        return not any(self.state.side)

    def _step(self, row: Floats, code: int) -> Sequence[int]:
        state = self.state
        if not 0 <= code < self._running:
            state.place, state.left, state.at_least = None, True, 1.0
            state.side = [_HOME] * len(state.side)
            return ()
        if code != state.place:
            arrived = state.left or state.place is not None
            state.place = code
            state.side = [_PENDING if arrived else _HOME] * len(state.side)
        return [c for at, c in enumerate(self._slow.channels) if state.side[at] and self._away(at, float(row[c]), code)]

    def _away(self, at: int, value: float, place: int) -> bool:
        """Is the channel still on its way back? Keeps its side and its nearest distance."""
        state = self.state
        if math.isnan(value):
            return True
        off = value - self._slow.centre[place][at]
        share = state.at_least if state.side[at] == _PENDING else _HOME_SHARE
        side = 0 if abs(off) <= share * self._slow.reach[place][at] else 1 if off > 0 else -1
        if state.side[at] == _PENDING:
            state.side[at], state.mark[at], state.waited[at] = side, abs(off), 0
            return side != _HOME
        state.waited[at] += 1
        if abs(off) <= _NEARER * state.mark[at]:
            state.mark[at], state.waited[at] = abs(off), 0
        if abs(off) > _FURTHER * state.mark[at] or side != state.side[at] or state.waited[at] >= _PATIENCE_ROWS:
            state.side[at] = _HOME
        return state.side[at] != _HOME
