"""Senders at work, and the account that is kept of them beside Ronda."""

from __future__ import annotations

import asyncio
import time
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any, Literal

import asyncpg

from tests.faults.account import Alarms, Beyond, Count, Mails, count, stumbles
from tests.faults.senders import Sender, Span
from tests.faults.web import HttpSender

Broker = Literal["embedded", "mosquitto"]

READY_WITHIN_S = 60.0


class Field(ABC):
    """Who sends, what was counted of it so far, and whether all of it has arrived."""

    def __init__(self, seed: int) -> None:
        self.rng = Random(seed)
        self.senders: dict[str, Sender] = {}
        self._work: list[asyncio.Task[None]] = []
        self._counted: dict[tuple[str, str], int] = {}

    @abstractmethod
    async def sql(self) -> asyncpg.Connection[Any]:
        """A connection past everything of ours; to be closed. Waits until the server lets us in."""

    @property
    def under_way(self) -> int:
        """Readings that were sent and that nobody has confirmed."""
        return sum(sender.under_way for sender in self.senders.values())

    def add(self, sender: Sender) -> None:
        self.senders[sender.device] = sender
        self._work.append(asyncio.create_task(sender.run(), name=f"sender {sender.device}"))

    def marks(self) -> dict[str, dict[str, int]]:
        """Device → boot → how many were sent by now."""
        return {device: dict(sender.sent) for device, sender in self.senders.items()}

    async def recovered(self, within_s: float) -> float:
        """Wait until everything sent by now, and something after it, is confirmed; returns the seconds it took."""
        began = time.monotonic()
        marks = {device: {boot: sent + 1 for boot, sent in boots.items()} for device, boots in self.marks().items()}
        # Of a boot that is over nothing more will come.
        for device, sender in self.senders.items():
            for boot in list(sender.sent)[:-1]:
                marks[device][boot] -= 1

        async def all_confirmed() -> bool:
            for task in self._work:
                if task.done():
                    task.result()
                    raise AssertionError(f"{task.get_name()} ended")
            return all(
                self.senders[device].confirmed.get(boot, 0) >= mark
                for device, boots in marks.items()
                for boot, mark in boots.items()
            )

        try:
            await until_true(all_confirmed, "confirmed", within_s)
        except TimeoutError:
            missing = {
                f"{device}/{boot}": (self.senders[device].confirmed.get(boot, 0), mark)
                for device, boots in marks.items()
                for boot, mark in boots.items()
                if self.senders[device].confirmed.get(boot, 0) < mark
            }
            raise TimeoutError(f"not confirmed within {within_s:.0f} s: {missing}") from None
        return time.monotonic() - began

    @abstractmethod
    async def ledger(self) -> dict[str, dict[str, int]]:
        """What Ronda itself says of our senders, by device."""

    async def busy(self) -> bool:
        """Is something under way?"""
        return self.under_way > 0

    @property
    def rows(self) -> int:
        """How far the life of the machine with the injected faults has come."""
        return 0

    async def alarmed(self, within_s: float) -> float:
        """Wait until an alarm is raised from now on and mailed; where no machine has a model, none is."""
        return 0.0

    async def alarms(self) -> tuple[Alarms, Mails]:
        """Against the injected truth."""
        return Alarms(0, [], [], []), Mails(0, [], [], [], {})

    async def beyond(self) -> Beyond:
        """What became of what nobody but a site's own broker had; where no site is, nothing."""
        return Beyond()

    @property
    def answers(self) -> Counter[int]:
        """What clients of the API were answered, by status; 0: nothing."""
        found = Counter[int]()
        for sender in self.senders.values():
            if isinstance(sender, HttpSender):
                found += sender.answers
        return found

    async def dismiss(self) -> None:
        """Have everybody stop at once, whatever is still under way."""
        for task in self._work:
            task.cancel()
        await asyncio.gather(*self._work, return_exceptions=True)

    def spans(self) -> list[Span]:
        """The readings confirmed since this was asked the last time."""
        found = []
        for device, sender in self.senders.items():
            for boot, confirmed in sender.confirmed.items():
                found.append(Span(device, boot, self._counted.get((device, boot), 0), confirmed - 1))
                self._counted[device, boot] = confirmed
        return found

    async def count(self) -> Count:
        """What the store has of what was confirmed since the last time."""
        spans = self.spans()
        connection = await self.sql()
        try:
            return await count(connection, spans)
        finally:
            await connection.close()

    async def stumbles(self) -> int:
        """How often an agent put aside what nothing was wrong with."""
        connection = await self.sql()
        try:
            return await stumbles(connection)
        finally:
            await connection.close()

    async def drain(self, within_s: float = 60.0) -> None:
        """Stop sending, and wait until everybody was told that all is stored."""
        for sender in self.senders.values():
            sender.stopped.set()
        await asyncio.wait_for(asyncio.gather(*self._work), within_s)

    async def whole(self) -> Count:
        """Everything that was ever sent, counted at the end."""
        spans = [
            Span(device, boot, 0, sent - 1)
            for device, sender in self.senders.items()
            for boot, sent in sender.sent.items()
        ]
        connection = await self.sql()
        try:
            return await count(connection, spans)
        finally:
            await connection.close()


async def until_true(found: Callable[[], Awaitable[bool]], what: str, within_s: float = READY_WITHIN_S) -> None:
    """Ask until it is so. Raises: TimeoutError."""
    loop = asyncio.get_running_loop()
    end = loop.time() + within_s
    while not await found():
        if loop.time() > end:
            raise TimeoutError(f"not within {within_s:.0f} s: {what}")
        await asyncio.sleep(0.05)
