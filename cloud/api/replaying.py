"""Sends what was refused through the ordinary door again, and tells what became of each entry.

Killed anywhere, the same may be asked for again: identity absorbs what is stored already, and only what is accounted
for elsewhere leaves the list of what waits.
"""

from __future__ import annotations

import asyncio
import enum
import logging
from collections.abc import Callable, Mapping, Sequence

import msgspec

from broker.bus import Bus
from cloud.api.arrivals import STORED_WITHIN_S, Arrivals, Settled, difference_of
from cloud.api.listener import PUBLISH_WITHIN_S
from cloud.api.ports import Address, Devices, Key, Lookups, Quarantine
from cloud.api.problems import unavailable
from cloud.api.replayed_message import Prospect, message_of, prospect
from cloud.api.shown_bytes import escaped
from cloud.storage.quarantine import Rejection
from contract.errors import Reason, TransientError
from contract.plausibility import Metric
from contract.telemetry import Reading

log = logging.getLogger("ronda.api.quarantine")

_NO_MESSAGE = "this was no message of a device, so there is no door for it"
_ON_ITS_WAY = "the chain has it and the store not yet: replay it again to see"

# Validation looks for other ranges at most once a second.
_RANGES_KNOWN_S = 1.2

Identity = tuple[Address, Key]


class Fate(enum.StrEnum):
    """What became of an entry."""

    STORED = "stored"
    REFUSED = "refused"
    PENDING = "pending"
    IMPOSSIBLE = "impossible"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What became of one entry: `readings` of it are in the store; `reason` and `detail` where it was refused again."""

    id: str
    fate: Fate
    readings: int = 0
    reason: str | None = None
    detail: str = ""


class _Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One entry on its way through the door."""

    entry: Rejection
    message: tuple[str, bytes]
    readings: list[Reading]
    # Of these the chain makes entries of their own.
    refused: int


class Replaying:
    """Asks first what the door would say, publishes what it would take, and waits for the store's word."""

    def __init__(
        self,
        quarantine: Quarantine,
        devices: Devices,
        lookups: Lookups,
        arrivals: Arrivals,
        bus: Bus,
        clock_ms: Callable[[], float],
        within_s: float = STORED_WITHIN_S,
    ) -> None:
        self._quarantine = quarantine
        self._devices = devices
        self._lookups = lookups
        self._arrivals = arrivals
        self._bus = bus
        self._clock_ms = clock_ms
        self._within_s = within_s

    async def replay(self, entries: Sequence[Rejection]) -> list[Outcome]:
        """What became of each, in their order. Raises: Problem 503 when the broker does not take them."""
        metrics = await self._metrics({(each.site, each.device) for each in entries})
        looked = [await self._looked(each, metrics) for each in entries]
        attempts = [each for each in looked if isinstance(each, _Attempt)]
        sent = {each.id: each for each in await self._sent(attempts)} if attempts else {}
        told = [sent[each.entry.id] if isinstance(each, _Attempt) else each for each in looked]
        for each in told:
            log.info("quarantine.replayed", extra={"agent": "api", "entry": each.id, "fate": each.fate})
        return told

    async def _metrics(self, addresses: set[Address]) -> dict[Address, Sequence[Metric] | None]:
        known = {address: await self._devices.get(*address) for address in sorted(addresses)}
        return {address: None if device is None else device.metrics for address, device in known.items()}

    async def _looked(self, entry: Rejection, metrics: Mapping[Address, Sequence[Metric] | None]) -> _Attempt | Outcome:
        """What needs no door: what cannot be replayed, would be refused again, or is stored already."""
        if entry.settled_at_ms is not None:
            return Outcome(id=entry.id, fate=Fate.STORED, detail="it was settled before")
        message = message_of(entry)
        if message is None:
            return Outcome(id=entry.id, fate=Fate.IMPOSSIBLE, detail=_NO_MESSAGE)
        found = prospect(*message, metrics[entry.site, entry.device], int(self._clock_ms()))
        if not found.readings:
            return await self._refused(entry, found)
        stored = await self._stored(found.readings)
        conflicts = [why for each in found.readings if (why := _conflict(each, stored))]
        if len(conflicts) == len(found.readings):
            return await self._again(entry, "historian", Reason.IDENTITY_CONFLICT, conflicts[0])
        if not conflicts and not found.refused and len(stored) == len({*map(_identity, found.readings)}):
            return await self._settled(entry, len(stored))
        return _Attempt(entry=entry, message=message, readings=found.readings, refused=len(found.refused))

    async def _sent(self, attempts: Sequence[_Attempt]) -> list[Outcome]:
        """Publish, oldest first, and wait for the store's word about all of them at once."""
        settled = await self._through(attempts)
        again = [each for each in attempts if _is_refused_the_same(each.entry, settled)]
        if not again:
            return [await self._told(each, settled) for each in attempts]
        # The ranges were changed a moment ago, and validation has not asked for them since.
        await asyncio.sleep(_RANGES_KNOWN_S)
        outcomes = [await self._told(each, settled) for each in attempts if each not in again]
        later = await self._through(again)
        return outcomes + [await self._told(each, later) for each in again]

    async def _through(self, attempts: Sequence[_Attempt]) -> Settled:
        """Raises: Problem 503 when the broker does not take them."""
        now_ms = int(self._clock_ms())
        await self._quarantine.replayed([each.entry.id for each in attempts], at_ms=now_ms)
        with self._arrivals.expect([reading for each in attempts for reading in each.readings]) as expected:
            try:
                async with asyncio.timeout(PUBLISH_WITHIN_S):
                    await self._bus.publish([each.message for each in attempts])
            except (TransientError, TimeoutError) as error:
                detail = "the broker did not take the messages; replay the same again, repeats are absorbed"
                raise unavailable("broker_away", detail) from error
            return await self._arrivals.settled(expected, self._within_s)

    async def _told(self, attempt: _Attempt, settled: Settled) -> Outcome:
        ours = {*map(_identity, attempt.readings)}
        if ours & {*map(_identity, settled.missing)}:
            return Outcome(id=attempt.entry.id, fate=Fate.PENDING, detail=_ON_ITS_WAY)
        entry, there = attempt.entry, await self._stored(attempt.readings)
        if _is_refused_the_same(entry, settled):
            return await self._again(entry, entry.stage, entry.reason, entry.detail)
        stored = sum(_identity(each) in there and not _conflict(each, there) for each in attempt.readings)
        refused = attempt.refused + len(attempt.readings) - stored
        detail = f"{refused} of its readings refused anew, each an entry of its own" if refused else ""
        return await self._settled(entry, stored, detail)

    async def _stored(self, readings: Sequence[Reading]) -> dict[Identity, tuple[int, Mapping[str, float]]]:
        by_device: dict[Address, list[Key]] = {}
        for each in readings:
            by_device.setdefault((each.site, each.device), []).append((each.boot, each.seq))
        return {
            (address, key): content
            for address, keys in by_device.items()
            for key, content in (await self._lookups.stored(*address, keys)).items()
        }

    async def _refused(self, entry: Rejection, found: Prospect) -> Outcome:
        first = found.refused[0]
        return await self._again(entry, first.stage, first.reason, first.detail)

    async def _again(self, entry: Rejection, stage: str, reason: str, detail: str) -> Outcome:
        # What a stranger wrote may hold what no text column can.
        plain = escaped(detail)
        await self._quarantine.replayed([entry.id], at_ms=int(self._clock_ms()))
        await self._quarantine.refused_again(entry.id, stage=stage, reason=reason, detail=plain)
        return Outcome(id=entry.id, fate=Fate.REFUSED, reason=reason, detail=plain)

    async def _settled(self, entry: Rejection, readings: int, detail: str = "") -> Outcome:
        await self._quarantine.settle(entry, at_ms=int(self._clock_ms()))
        fate = Fate.STORED if readings else Fate.REFUSED
        return Outcome(id=entry.id, fate=fate, readings=readings, detail=detail)


def _is_refused_the_same(entry: Rejection, settled: Settled) -> bool:
    """Did the chain refuse it once more for the reason it had? Then it knows other ranges than we do."""
    return any(event.id == entry.id for event in settled.rejected)


def _identity(reading: Reading) -> Identity:
    return (reading.site, reading.device), (reading.boot, reading.seq)


def _conflict(reading: Reading, stored: Mapping[Identity, tuple[int, Mapping[str, float]]]) -> str | None:
    """In the Historian's words why this one cannot be stored any more."""
    if (there := stored.get(_identity(reading))) is None:
        return None
    found = difference_of(reading, *there)
    return f"{reading.id} is already stored with {found}" if found else None
