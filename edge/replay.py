"""Plays a recording as a device of its own, faster than it happened and with its spacing kept."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from broker.address import MqttAddress
from broker.bus import Bus
from contract.errors import RondaError
from edge.buffer import Buffer
from edge.clock import Clock, SystemClock
from edge.commands import Command, CommandError
from edge.device import Device, last_will
from edge.flash import Flash
from edge.fleet import mqtt_bus, new_boot, stopped_by_signals
from edge.recording import Recording, read_recording
from edge.uplink import Uplink

# How often what is due is sent: at twenty times real speed two rows of a 1 Hz recording.
BEAT_S = 0.1
# After the last row: how long the store may stand still before the rest is given up and said.
PATIENCE_S = 60.0
# How often progress is told.
TELL_S = 1.0


class ReplayError(RondaError):
    """A recording cannot be played this way."""


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """When each of n rows is sent and which time it bears, both in UTC epoch milliseconds."""

    send_at_ms: tuple[float, ...]
    measured_at_ms: tuple[int, ...]


class Progress(msgspec.Struct, frozen=True, kw_only=True):
    """How far the replay is, in rows; `accounted`: the store has them, or has refused them with a reason."""

    rows: int
    sent: int
    accounted: int


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the recording. `unaccounted` rows were sent, but the store did not confirm them in time."""

    rows: int
    sent: int
    accounted: int
    skipped: Mapping[str, int]
    ignored: Sequence[str]

    @property
    def unaccounted(self) -> int:
        """Rows whose fate is unknown; 0 when all went well."""
        return self.sent - self.accounted


def plan(times_ms: Sequence[int], speed: float, start_ms: int) -> Plan:
    """Shift the recording so that its last row bears the time at which it is sent.

    A recording of length D that is played `speed` times faster takes D / speed, so the last row is due at
    start + D / speed. A row that was measured r before it is sent r / speed earlier and bears a time r earlier: spacing
    is kept to the millisecond, and with a speed of at least 1 no row is ever in the future.
    """
    end_ms = start_ms + (times_ms[-1] - times_ms[0]) / speed
    remaining = [times_ms[-1] - at_ms for at_ms in times_ms]
    return Plan(
        send_at_ms=tuple(end_ms - left / speed for left in remaining),
        measured_at_ms=tuple(int(end_ms) - left for left in remaining),
    )


def check_speed(speed: float) -> float:
    """Return `speed`. Raises: ReplayError for one that would need readings from the future."""
    if not 1 <= speed < math.inf:
        raise ReplayError(f"the speed must be at least 1 (real time), this one is {speed:g}")
    return speed


class Player:
    """The role of a device that says what a recording says."""

    def __init__(
        self,
        recording: Recording,
        *,
        speed: float,
        boot: str,
        clock: Clock,
        progress: Callable[[Progress], None],
        patience_s: float = PATIENCE_S,
    ) -> None:
        self.metrics = recording.names
        self.ring = Buffer(boot, len(recording.rows))
        self._recording, self._speed, self._clock = recording, check_speed(speed), clock
        self._progress, self._patience_s = progress, patience_s

    @property
    def state(self) -> Progress:
        """How far it is."""
        accounted = self.ring.through + 1
        return Progress(rows=len(self._recording.rows), sent=self.ring.next_seq, accounted=accounted)

    def power_up(self) -> Sequence[Buffer]:
        """One ring, empty until the connection stands."""
        return [self.ring]

    async def run(self, uplink: Uplink) -> None:
        """Play to the end, then wait for the store to account for everything, while it still moves."""
        told_ms = self._clock.now_ms()
        due = plan(self._recording.times_ms, self._speed, told_ms)
        while self.state.sent < self.state.rows:
            await self._clock.sleep(BEAT_S)
            self._play(due, self._clock.now_ms())
            uplink.wake()
            if self._clock.now_ms() - told_ms >= TELL_S * 1000:
                told_ms = self._clock.now_ms()
                self._progress(self.state)
        await self._settle(uplink)
        self._progress(self.state)

    def obey(self, command: Command) -> int:
        """A recording takes no orders."""
        raise CommandError(command.id, "not_a_demo", "this is a recording being played: it takes no orders")

    def _play(self, due: Plan, now_ms: int) -> None:
        """Put what is due into the ring."""
        rows = self._recording.rows
        while (row := self.ring.next_seq) < len(rows) and due.send_at_ms[row] <= now_ms:
            self.ring.hold(due.measured_at_ms[row], rows[row])

    async def _settle(self, uplink: Uplink) -> None:
        while (before := self.state.accounted) < self.state.sent:
            try:
                async with asyncio.timeout(self._patience_s):
                    await uplink.until(lambda before=before: self.state.accounted > before)  # type: ignore[misc]  # bound
            except TimeoutError:
                return


async def replay(
    bus: Bus,
    site: str,
    device: str,
    recording: Recording,
    *,
    speed: float,
    boot: str,
    clock: Clock,
    progress: Callable[[Progress], None],
    stop: asyncio.Event,
    patience_s: float = PATIENCE_S,
) -> Outcome:
    """Play `recording` as `site/device`; returns when all is accounted for, or says what is not.

    Nothing is flagged `replayed`: for the chain it is what a machine says today.
    """
    player = Player(recording, speed=speed, boot=boot, clock=clock, progress=progress, patience_s=patience_s)
    await Device(bus, site, device, player, Flash(None), now_ms=clock.now_ms, late_ms=None).run(stop)
    state = player.state
    return Outcome(
        rows=state.rows,
        sent=state.sent,
        accounted=state.accounted,
        skipped=recording.skipped,
        ignored=recording.ignored,
    )


async def run_replay(
    path: Path,
    address: MqttAddress,
    *,
    site: str,
    device: str,
    username: str,
    password: str,
    speed: float = 20.0,
    progress: Callable[[Progress], None],
) -> Outcome:
    """Play the file `path` over MQTT until it is through, or SIGTERM or SIGINT.

    Raises: RecordingError; ReplayError; RefusedError for wrong credentials; TransientError when no broker answers.
    """
    recording = read_recording(path)
    bus = mqtt_bus(address, username, password, last_will(site, device))
    stop = asyncio.Event()
    with stopped_by_signals(stop):
        return await replay(
            bus,
            site,
            device,
            recording,
            speed=speed,
            boot=new_boot(),
            clock=SystemClock(),
            progress=progress,
            stop=stop,
        )
