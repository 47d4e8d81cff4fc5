"""Listens for who is not heard: what is stored, what the broker says of connections, and what was told already."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import msgspec

from cloud.agents.silence import AGAIN_MS, SITE_QUESTION, Device, Habit, Heard, Key, raised, silent
from contract.events import AnomalyDetectedEvent, Phase

log = logging.getLogger("ronda.agents.silence")

# How a device speaks changes slowly; of a new one it is known after as long.
LEARN_EVERY_MS = 10 * 60 * 1000
# What was buffered while we could not hear arrives first, and devices connect again.
SETTLE_MS = 60_000
# A clock that is corrected little by little is never that far off between two looks; one that is set is, and so is one
# that went on while this computer slept.
_SET_MS = 5_000
# What arrived so shortly before somebody was told may have been stored after it; nobody is told of so short a silence.
_ON_ITS_WAY_MS = 5_000


class Memory(Protocol):
    """The store, as whoever listens uses it."""

    async def heard(self) -> Mapping[Key, Heard]:
        """The last reading of every device that is in service and waited for."""

    async def heard_lately(self, site: str, device: str) -> Heard | None:
        """The last that arrived, whatever its own time."""

    async def habit(self, site: str, device: str) -> Habit | None:
        """How a device speaks; None: that is not known yet."""

    async def told(self) -> Sequence[AnomalyDetectedEvent]:
        """The silences that are open, each as it stands."""

    async def keep(self, events: Sequence[AnomalyDetectedEvent]) -> Sequence[AnomalyDetectedEvent]:
        """Keep them, to be published. Returns those that are new."""


class SilenceWatch:
    """Asks again and again. A restart forgets nothing that matters: what was told is in the store."""

    def __init__(self, memory: Memory, clock_ms: Callable[[], float], elapsed_ms: Callable[[], float]) -> None:
        self._memory = memory
        self._clock_ms = clock_ms
        self._elapsed_ms = elapsed_ms
        self._apart_ms = clock_ms() - elapsed_ms()
        self._offline: set[Key] = set()
        self._habits: dict[Key, tuple[int, Habit | None]] = {}
        self._hearing_since_ms: int | None = None
        self._site_since_ms: dict[str, int] = {}

    def status(self, key: Key, *, offline: bool) -> None:
        """The broker, or the device, says whether it is connected."""
        if offline:
            self._offline.add(key)
        else:
            self._offline.discard(key)

    def hearing(self, *, able: bool) -> None:
        """Can we hear at all: is the broker there, and somebody who stores?"""
        if not able:
            self._hearing_since_ms = None
        elif self._hearing_since_ms is None:
            self._hearing_since_ms = int(self._clock_ms()) + SETTLE_MS

    async def look(self) -> Sequence[AnomalyDetectedEvent]:
        """What is to be said now, kept already."""
        self._begin_anew_when_set()
        now_ms, since_ms = int(self._clock_ms()), self._hearing_since_ms
        if since_ms is None or now_ms < since_ms:
            return ()
        heard, told = await self._memory.heard(), await self._memory.told()
        events = self._over(told, heard, now_ms) + self._again(told, heard, now_ms)
        waiting = {key: last for key, last in heard.items() if not _is_told(key, last, told)}
        devices = await self._devices(waiting, now_ms)
        since = {key[0]: max(since_ms, self._site_since_ms.get(key[0], 0)) for key in devices}
        found = silent(devices, now_ms, since)
        if found and (surprises := await self._heard_after_all(devices, [(each.site, each.device) for each in found])):
            found = silent(devices | surprises, now_ms, since)
        events += [raised(about, devices[about.site, about.device].habit, now_ms) for about in found]
        return await self._memory.keep(events) if events else ()

    def _begin_anew_when_set(self) -> None:
        """By a clock that was set everybody was silent for as long as it was set by: count from here on."""
        apart_ms = self._clock_ms() - self._elapsed_ms()
        if abs(apart_ms - self._apart_ms) > _SET_MS and self._hearing_since_ms is not None:
            self._hearing_since_ms = int(self._clock_ms()) + SETTLE_MS
            self._habits.clear()
            self._site_since_ms.clear()
            log.warning("clock.set", extra={"by_ms": int(apart_ms - self._apart_ms)})
        self._apart_ms = apart_ms

    async def _devices(self, heard: Mapping[Key, Heard], now_ms: int) -> dict[Key, Device]:
        found = {}
        for key, last in heard.items():
            learned_at_ms, habit = self._habits.get(key, (0, None))
            # Not while it is quiet: the pause that we ask about is no habit yet.
            if now_ms - learned_at_ms > LEARN_EVERY_MS and (habit is None or last.received_at_ms > learned_at_ms):
                habit = await self._memory.habit(*key)
                self._habits[key] = (now_ms, habit)
            if habit is not None:
                found[key] = Device(last, habit, key in self._offline)
        return found

    async def _heard_after_all(self, devices: Mapping[Key, Device], keys: Sequence[Key]) -> dict[Key, Device]:
        """Those whose newest reading by its own clock is not the last that arrived: their clock was set back."""
        found = {}
        for key in keys:
            last = await self._memory.heard_lately(*key)
            if last is not None and last.received_at_ms > devices[key].heard.received_at_ms:
                found[key] = devices[key]._replace(heard=last)
        return found

    def _over(
        self, told: Sequence[AnomalyDetectedEvent], heard: Mapping[Key, Heard], now_ms: int
    ) -> list[AnomalyDetectedEvent]:
        """The silences that ended, as of the first word that is known of."""
        found = []
        for event in told:
            last = _ended_by(event, heard)
            if last is not None:
                changes = {"measured_at_ms": last.measured_at_ms, "boot": last.boot, "seq": last.seq}
                found.append(msgspec.structs.replace(event, phase=Phase.CLEARED, detected_at_ms=now_ms, **changes))
                # The others of the site come back within moments.
                self._site_since_ms[event.site] = now_ms + SETTLE_MS
        return found

    def _again(
        self, told: Sequence[AnomalyDetectedEvent], heard: Mapping[Key, Heard], now_ms: int
    ) -> list[AnomalyDetectedEvent]:
        """Once more what lasts."""
        return [
            msgspec.structs.replace(
                event, phase=Phase.UPDATED, detected_at_ms=now_ms, measured_at_ms=event.measured_at_ms + AGAIN_MS
            )
            for event in told
            if event.phase is Phase.RAISED
            and now_ms - event.detected_at_ms >= AGAIN_MS
            and _ended_by(event, heard) is None
        ]


def _is_told(key: Key, last: Heard, told: Sequence[AnomalyDetectedEvent]) -> bool:
    """By itself, or with its site: it has not spoken since the site was told of."""
    return any(
        (event.site, event.device) == key
        or (_is_of_site(event) and event.site == key[0] and not _is_later(last, event))
        for event in told
    )


def _ended_by(event: AnomalyDetectedEvent, heard: Mapping[Key, Heard]) -> Heard | None:
    """The word that ended this silence: of the device, or of anybody at its site."""
    for key, last in sorted(heard.items()):
        about = key[0] == event.site if _is_of_site(event) else key == (event.site, event.device)
        if about and _is_later(last, event):
            return last
    return None


def _is_later(last: Heard, event: AnomalyDetectedEvent) -> bool:
    return last.received_at_ms > event.detected_at_ms - _ON_ITS_WAY_MS


def _is_of_site(event: AnomalyDetectedEvent) -> bool:
    return event.evidence.question == SITE_QUESTION
