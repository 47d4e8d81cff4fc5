"""The role of a pump that runs: its healthy past once, then one reading a second, and faults when told."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from edge.buffer import Buffer
from edge.clock import Clock
from edge.commands import Command, CommandError
from edge.faults import Fault, FaultKind, Stop
from edge.flash import Flash, Past
from edge.metrics import NAMES
from edge.past import HISTORY_ROWS, arrived, fill, note_arrival, unfinished
from edge.pump import Pump
from edge.uplink import Uplink

# Two hours at one reading a second: the outage that a ring of some hundred kilobytes of flash lives through.
CAPACITY = 7200
# A computer that slept measured nothing: what is due for longer than this is left out rather than invented.
MAX_CATCH_UP_S = 60
# A fault told on `command` has grown after a third of its time, and after half a minute at most.
RAMP_SHARE, MAX_RAMP_S = 1 / 3, 30.0


class PlannedFault(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A fault written into the fleet's file: so many seconds after power-up, growing over `ramp_s`, for `seconds`."""

    kind: FaultKind
    after_s: float
    ramp_s: float = 300.0
    seconds: float = float("inf")


class LivePump:
    """A running pump with a sensor on it."""

    metrics = NAMES

    def __init__(
        self,
        pump: Pump,
        flash: Flash,
        clock: Clock,
        *,
        boot: str,
        phase_ms: int,
        history_rows: int = HISTORY_ROWS,
        planned: Sequence[PlannedFault] = (),
    ) -> None:
        self._pump, self._flash, self._clock = pump, flash, clock
        self._phase_ms, self._history_rows, self._planned = phase_ms, history_rows, planned
        self._ring = Buffer(boot, CAPACITY)
        self._next_s = 0
        self._faults: list[Fault] = []
        self._stops: list[Stop] = []

    def power_up(self) -> Sequence[Buffer]:
        """The ring, with the healthy past in it at the first power-up; before it that of an unfinished one."""
        now_s = self._now_s()
        self._next_s = now_s + 1
        self._faults = [self._scheduled(fault, now_s) for fault in self._planned]
        earlier = unfinished(self._flash, self._pump, self._phase_ms)
        if self._flash.memory.past is None and self._history_rows:
            first_s = now_s - self._history_rows + 1
            past = Past(boot=self._ring.boot, first_seq=0, first_s=first_s, rows=self._history_rows)
            self._flash.remember_past(past)
            fill(self._ring, past, self._pump, self._phase_ms)
        return [self._ring] if earlier is None else [earlier, self._ring]

    async def run(self, uplink: Uplink) -> None:
        """Measure every second until cancelled."""
        while True:
            await self._clock.sleep(self._due_in_s())
            self._measure()
            uplink.wake()
            if arrived(self._flash, uplink):
                note_arrival(self._flash)

    def obey(self, command: Command) -> int:
        """Develop a fault, or stop for a while, from now on. It only shows in the readings that come anyway."""
        now_s = self._clock.now_ms() / 1000
        if command.fault:
            ramp_s = min(command.fault.seconds * RAMP_SHARE, MAX_RAMP_S)
            end_s = now_s + command.fault.seconds
            self._faults.append(Fault(kind=command.fault.kind, onset_s=now_s, ramp_s=ramp_s, end_s=end_s))
        elif command.stop:
            self._stops.append(Stop(begin_s=now_s, end_s=now_s + command.stop.seconds))
        else:
            raise CommandError(command.id, "not_a_demo", "this is a running pump: it takes fault and stop")
        return 0

    def _due_in_s(self) -> float:
        # A clock that was set back says when to measure from now on, and is not waited for; one that is only corrected
        # is off by less than a second.
        self._next_s = min(self._next_s, self._now_s() + 2)
        return (self._next_s * 1000 + self._phase_ms - self._clock.now_ms()) / 1000

    def _measure(self) -> None:
        """Every second that is due, so that a late wake-up leaves no gap."""
        now_s = self._now_s()
        first_s = max(self._next_s, now_s - MAX_CATCH_UP_S + 1)
        if first_s > now_s:
            return
        rows = self._pump.measure(first_s, now_s - first_s + 1, self._faults, self._stops)
        for second, values in enumerate(rows, start=first_s):
            self._ring.hold(second * 1000 + self._phase_ms, values)
        self._next_s = now_s + 1

    def _now_s(self) -> int:
        """The latest second whose reading is due."""
        return (self._clock.now_ms() - self._phase_ms) // 1000

    @staticmethod
    def _scheduled(fault: PlannedFault, now_s: int) -> Fault:
        onset_s = now_s + fault.after_s
        return Fault(kind=fault.kind, onset_s=onset_s, ramp_s=fault.ramp_s, end_s=onset_s + fault.seconds)
