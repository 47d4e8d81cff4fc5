"""Many emulated devices in one process: started one after the other, added while it runs, stopped with a good-bye."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import stamina

from broker.address import MqttAddress
from broker.bus import Bus, Will
from broker.mqtt import MqttBus
from contract.errors import RondaError
from edge.clock import Clock, SystemClock
from edge.demo import DemoPump
from edge.device import Device, last_will
from edge.duty import DutyPump
from edge.flash import Flash
from edge.live import LivePump
from edge.member import FleetFileError, Member, read_fleet
from edge.pump import Pump
from edge.uplink import LATE_MS

log = logging.getLogger("ronda.edge")

# Between two starts: a hundred devices that connect in the same instant are an attack, not a plant.
STAGGER_S = 0.02
# How soon a device that was added to the file is there, and how often the counts are logged.
WATCH_S = 0.5
COUNT_S = 60.0
# Longer than the two good-byes of a device (its readings, its status), shorter than a supervisor's patience.
STOP_S = 6.0

BusFor = Callable[[Member], Bus]


class Running:
    """One member at work; started again when its broker is away or it stumbled."""

    def __init__(self, member: Member, bus_for: BusFor, data_dir: Path, clock: Clock) -> None:
        self.member = member
        self.device: Device | None = None
        self._bus_for, self._clock = bus_for, clock
        self._path = data_dir / f"{member.site}.{member.device}.json"
        self._stop = asyncio.Event()
        self.task = asyncio.create_task(self._run(), name=f"device {member.name}")

    async def stop(self) -> None:
        """Let it say good-bye; what cannot, since its broker is away, is ended."""
        self._stop.set()
        await asyncio.wait([self.task], timeout=STOP_S)
        self.task.cancel()
        await asyncio.wait([self.task])

    async def _run(self) -> None:
        async for attempt in stamina.retry_context(Exception, attempts=None, timeout=None, wait_max=30.0):
            with attempt:
                self.device = power_up(self.member, self._bus_for(self.member), self._path, self._clock)
                await self._attempt(self.device)

    async def _attempt(self, device: Device) -> None:
        """A stumble is logged and ends in a new power-up, a little later; only this device notices."""
        who = {"site": self.member.site, "device": self.member.device}
        try:
            await device.run(self._stop)
        except RondaError as error:
            log.warning("device.failed", extra={**who, "detail": str(error)})
            raise
        except Exception:
            log.exception("device.failed", extra=who)
            raise


class Fleet:
    """The devices of one file, kept equal to it while it runs."""

    def __init__(self, path: Path, data_dir: Path, bus_for: BusFor, clock: Clock) -> None:
        self._path, self._data_dir = path, data_dir
        self._bus_for, self._clock = bus_for, clock
        self._running: dict[str, Running] = {}
        self._stamp = (0, 0)

    async def run(self, stop: asyncio.Event) -> None:
        """Keep the fleet as the file says until `stop` is set. Raises: FleetFileError when the first reading fails."""
        loop = asyncio.get_running_loop()
        counted_at = loop.time()
        try:
            await self._adopt(self._read())
            while not await _within(stop, WATCH_S):
                await self._follow_file()
                if loop.time() - counted_at >= COUNT_S:
                    counted_at = loop.time()
                    self._count()
        finally:
            await self._stop_all(list(self._running))

    async def _follow_file(self) -> None:
        if self._stamp_now() == self._stamp:
            return
        try:
            members = self._read()
        except FleetFileError as error:
            log.warning("fleet.unreadable", extra={"detail": str(error)})
        else:
            await self._adopt(members)

    def _read(self) -> list[Member]:
        # The stamp first: what is written after it is read next time.
        self._stamp = self._stamp_now()
        return read_fleet(self._path)

    def _stamp_now(self) -> tuple[int, int]:
        try:
            stat = self._path.stat()
        except OSError:
            return (0, 0)
        return (stat.st_mtime_ns, stat.st_ino)

    async def _adopt(self, members: list[Member]) -> None:
        """Start who is new, stop who is gone, and restart whose entry changed."""
        wanted = {member.name: member for member in members}
        changed = [name for name, running in self._running.items() if wanted.get(name) != running.member]
        await self._stop_all(changed)
        for name, member in wanted.items():
            if name not in self._running:
                self._running[name] = Running(member, self._bus_for, self._data_dir, self._clock)
                await asyncio.sleep(STAGGER_S)

    async def _stop_all(self, names: list[str]) -> None:
        leaving = [self._running.pop(name) for name in names]
        await asyncio.gather(*(running.stop() for running in leaving))

    def _count(self) -> None:
        devices = [running.device for running in self._running.values() if running.device]
        held = sum(device.uplink.held for device in devices)
        dropped = sum(device.uplink.dropped for device in devices)
        log.info("fleet.counted", extra={"devices": len(devices), "held": held, "dropped": dropped})


def power_up(member: Member, bus: Bus, path: Path, clock: Clock) -> Device:
    """The member's device with a new boot."""
    flash, boot = Flash(path), new_boot()
    pump = DutyPump(member.own_seed, member.duty) if member.duty else Pump(member.own_seed)
    role: LivePump | DemoPump
    if member.role == "demo":
        role = DemoPump(
            pump,
            flash,
            clock,
            boot=boot,
            phase_ms=member.phase_ms,
            prepare=member.prepare,
            history_rows=member.history_rows,
        )
    else:
        role = LivePump(
            pump,
            flash,
            clock,
            boot=boot,
            phase_ms=member.phase_ms,
            history_rows=member.history_rows,
            planned=member.faults,
        )
    return Device(bus, member.site, member.device, role, flash, now_ms=clock.now_ms, late_ms=LATE_MS)


def new_boot() -> str:
    """64 random bits, as a device makes them when it is switched on."""
    return secrets.token_hex(8)


def mqtt_bus(address: MqttAddress, user: str, password: str, will: Will) -> MqttBus:
    """The device's own connection with its own credentials. The client id is its user name: it is there once."""
    return MqttBus(address.with_user(user, password), user, persistent=False, will=will)


async def run_fleet(path: Path, address: MqttAddress, data_dir: Path, stop: asyncio.Event | None = None) -> None:
    """Run the devices of the file `path` until SIGTERM, SIGINT or `stop`. Raises: FleetFileError.

    `address` is the broker's; each device speaks with the credentials of its entry. `data_dir` keeps one small file a
    device: the past it has sent, and the commands it has obeyed.
    """
    stop = stop or asyncio.Event()

    def bus_for(member: Member) -> Bus:
        return mqtt_bus(address, member.username, member.password, last_will(member.site, member.device))

    with stopped_by_signals(stop):
        await Fleet(path, data_dir, bus_for, SystemClock()).run(stop)


@contextlib.contextmanager
def stopped_by_signals(stop: asyncio.Event) -> Iterator[None]:
    """SIGTERM and SIGINT set `stop` while the block runs."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)


async def _within(event: asyncio.Event, seconds: float) -> bool:
    """Is the event set within this time?"""
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        return False
    return True
