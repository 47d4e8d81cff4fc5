"""The role of a demonstration pump: silent, until it is told to live through a minute with a fault."""

from __future__ import annotations

from collections.abc import Sequence

from edge.buffer import Buffer, Mark
from edge.clock import Clock
from edge.commands import Command, CommandError
from edge.faults import Fault, FaultKind
from edge.flash import Flash, Past
from edge.metrics import NAMES
from edge.past import HISTORY_ROWS, arrived, fill, note_arrival, unfinished
from edge.pump import Pump
from edge.uplink import Uplink

# The minute before the click: half of it healthy, so that the picture shows what changed. The detector raises 13 to
# 17 s after such an onset (measured on twelve pumps and five faults): 32 s of fault leave it as long again.
MINUTE_S = 60
FAULTY_S = 32
# A fault that breaks out: full within four readings.
FAST_RAMP_S = 4.0
CAPACITY = HISTORY_ROWS + 10 * MINUTE_S


def faulty_minute(kind: FaultKind | None, now_s: int) -> list[Fault]:
    """What is wrong in the minute that ends with the second `now_s`: this fault, or nothing."""
    return [] if kind is None else [Fault(kind=kind, onset_s=now_s - FAULTY_S + 1, ramp_s=FAST_RAMP_S)]


class DemoPump:
    """A rested pump with a healthy past."""

    metrics = NAMES

    def __init__(
        self,
        pump: Pump,
        flash: Flash,
        clock: Clock,
        *,
        boot: str,
        phase_ms: int,
        prepare: bool = False,
        history_rows: int = HISTORY_ROWS,
    ) -> None:
        self._pump, self._flash, self._clock = pump, flash, clock
        self._phase_ms, self._prepare, self._history_rows = phase_ms, prepare, history_rows
        self._ring = Buffer(boot, max(CAPACITY, history_rows))

    def power_up(self) -> Sequence[Buffer]:
        """The ring, with the healthy past in it where it is to be prepared; before it that of an unfinished one."""
        earlier = unfinished(self._flash, self._pump, self._phase_ms)
        if self._prepare and self._flash.memory.past is None:
            self._back_fill()
        return [self._ring] if earlier is None else [earlier, self._ring]

    async def run(self, uplink: Uplink) -> None:
        """Nothing but to note when a back-fill is done, until cancelled."""
        while True:
            await uplink.until(lambda: arrived(self._flash, uplink))
            note_arrival(self._flash)

    def obey(self, command: Command) -> int:
        """Prepare, or live through the minute before now."""
        if command.prepare:
            return self._back_fill()
        if command.simulate is None:
            raise CommandError(command.id, "not_running", "this is a demonstration pump: it takes simulate and prepare")
        self._check_rested(command.id)
        self._live_through_a_minute(command.id, command.simulate.kind)
        return MINUTE_S

    def _check_rested(self, command_id: str) -> None:
        memory = self._flash.memory
        if memory.past is None:
            raise CommandError(command_id, "not_prepared", "this pump has no healthy past yet: prepare it first")
        if (wait_s := memory.told_s + MINUTE_S - self._now_s()) > 0:
            raise CommandError(command_id, "not_rested", f"this pump has just been used: try again in {wait_s} s")

    def _back_fill(self) -> int:
        """Tell of the seconds not told yet, up to a minute ago: that minute is kept free for the simulation."""
        end_s = self._now_s() - MINUTE_S
        first_s = max(end_s - self._history_rows + 1, self._flash.memory.told_s + 1)
        if (rows := end_s - first_s + 1) < 1:
            return 0
        past = Past(boot=self._ring.boot, first_seq=self._ring.next_seq, first_s=first_s, rows=rows)
        self._flash.remember_past(past)
        self._flash.remember_told(end_s)
        fill(self._ring, past, self._pump, self._phase_ms)
        return rows

    def _live_through_a_minute(self, correlation_id: str, kind: FaultKind | None) -> None:
        now_s = self._now_s()
        faults = faulty_minute(kind, now_s)
        first_s = now_s - MINUTE_S + 1
        mark = Mark(traced=True, correlation_id=correlation_id)
        self._flash.remember_told(now_s)
        for second, values in enumerate(self._pump.measure(first_s, MINUTE_S, faults), start=first_s):
            self._ring.hold(second * 1000 + self._phase_ms, values, mark)

    def _now_s(self) -> int:
        """The latest second whose reading is due."""
        return (self._clock.now_ms() - self._phase_ms) // 1000
