"""Waits until the store has what a client sent: woken by the watermark or a refusal, then asked of the store itself."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator, Mapping, Sequence

import msgspec

from cloud.api.ports import Address, Key, Lookups
from contract.errors import ContractError, Reason, TransientError
from contract.events import ReadingRejectedEvent
from contract.telemetry import Reading, decode

# The chain's slowest honest answer: a watermark a second, a broker that restarts (0.3 s), a commit that waits.
STORED_WITHIN_S = 10.0
# The watermark comes at most once a second and device, and none for devices that do not count; so look by oneself too.
_LOOK_EVERY_S = 0.5


class Conflict(msgspec.Struct, frozen=True, kw_only=True):
    """A reading whose identity is stored already; `detail` says with what, and what came now."""

    reading: Reading
    detail: str


class Settled(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the readings waited for."""

    missing: list[Reading]
    conflicting: list[Conflict]
    rejected: list[ReadingRejectedEvent]


class _Expected:
    """One client's readings on their way."""

    def __init__(self, readings: Sequence[Reading]) -> None:
        self.woken = asyncio.Event()
        self.missing: dict[Address, dict[Key, Reading]] = {}
        self.conflicting: list[Conflict] = []
        self.rejected: list[ReadingRejectedEvent] = []
        for each in readings:
            self.missing.setdefault((each.site, each.device), {})[each.boot, each.seq] = each

    def refuse(self, event: ReadingRejectedEvent) -> None:
        """Take a refusal for one of ours, by its number, or by its correlation id where the device does not count."""
        ours = self.missing.get((event.site, event.device), {})
        found = [key for key, reading in ours.items() if _is_about(event, reading)]
        for key in found:
            reading = ours.pop(key)
            if event.reason is Reason.IDENTITY_CONFLICT:
                self.conflicting.append(Conflict(reading=reading, detail=event.detail))
            else:
                self.rejected.append(event)
        if found:
            self.woken.set()

    def settle(self, address: Address, stored: Mapping[Key, tuple[int, Mapping[str, float]]]) -> None:
        """Compare with what the store has."""
        ours = self.missing[address]
        for key, (measured_at_ms, values) in stored.items():
            if (reading := ours.pop(key, None)) is None:
                continue
            if difference := difference_of(reading, measured_at_ms, values):
                detail = f"{reading.id} is already stored with {difference}"
                self.conflicting.append(Conflict(reading=reading, detail=detail))

    def open(self) -> dict[Address, list[Key]]:
        """What is still to be seen."""
        return {address: list(ours) for address, ours in self.missing.items() if ours}

    def settled(self) -> Settled:
        """The account."""
        missing = [reading for ours in self.missing.values() for reading in ours.values()]
        return Settled(missing=missing, conflicting=self.conflicting, rejected=self.rejected)


class Arrivals:
    """Who waits for which device's readings."""

    def __init__(self, lookups: Lookups) -> None:
        self._lookups = lookups
        self._waiting: dict[Address, set[_Expected]] = {}

    def on_stored(self, address: Address) -> None:
        """The store has more of this device."""
        for expected in self._waiting.get(address, ()):
            expected.woken.set()

    def on_rejected(self, event: ReadingRejectedEvent) -> None:
        """The chain refused something of this device."""
        for expected in tuple(self._waiting.get((event.site, event.device), ())):
            expected.refuse(event)

    @contextlib.contextmanager
    def expect(self, readings: Sequence[Reading]) -> Iterator[_Expected]:
        """Listen for the fate of `readings`, to be entered before they are published."""
        expected = _Expected(readings)
        for address in expected.missing:
            self._waiting.setdefault(address, set()).add(expected)
        try:
            yield expected
        finally:
            for address in expected.missing:
                self._waiting[address].discard(expected)
                if not self._waiting[address]:
                    del self._waiting[address]

    async def settled(self, expected: _Expected, within_s: float = STORED_WITHIN_S) -> Settled:
        """What became of them, once all are settled or the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                while True:
                    expected.woken.clear()
                    await self._look(expected)
                    if not expected.open():
                        break
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(expected.woken.wait(), _LOOK_EVERY_S)
        return expected.settled()

    async def _look(self, expected: _Expected) -> None:
        for address, keys in expected.open().items():
            # A store that is away for the moment may be back within our time.
            with contextlib.suppress(TransientError):
                expected.settle(address, await self._lookups.stored(*address, keys))


def difference_of(reading: Reading, measured_at_ms: int, values: Mapping[str, float]) -> str | None:
    """The first thing that is stored otherwise, in the Historian's words; None for a repeat."""
    if measured_at_ms != reading.measured_at_ms:
        return f"measured at {measured_at_ms}, now {reading.measured_at_ms}"
    names = dict.fromkeys([*values, *reading.values])
    other = next((name for name in names if values.get(name) != reading.values.get(name)), None)
    return None if other is None else f"{other} {values.get(other)}, now {reading.values.get(other)}"


def _is_about(event: ReadingRejectedEvent, reading: Reading) -> bool:
    if event.boot is not None and event.seq is not None:
        return (event.boot, event.seq) == (reading.boot, reading.seq)
    # Without a counter the refused bytes themselves say which reading they were.
    try:
        refused = decode(event.payload, event.site, event.device).readings
    except ContractError:
        return False
    return any(each.id == reading.id for each in refused)
