"""Machines that cannot count, behind the gateway: their account is what the gateway's disk has of them."""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import time
from pathlib import Path
from typing import NamedTuple

from broker.address import MqttAddress
from broker.mqtt import MqttBus
from contract.errors import TransientError
from tests.faults.senders import TICK_S, Sender

# The outbox is asked so often.
_LOOK_S = 0.05
# What the site's broker still holds when its machines stop reaches the gateway within that.
_QUIET_S = 3.0


class Numbers(NamedTuple):
    """Of one boot in the outbox: given so many numbers, and the store has so many."""

    boot: str
    given: int
    stored: int


class OutboxFile:
    """The gateway's file, read past the gateway."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._read_at = 0.0
        self._known: dict[str, Numbers] = {}

    def numbers(self, device: str) -> Numbers | None:
        """Those that it gave to a device that does not count; as last seen where the file cannot be read just now."""
        if time.monotonic() - self._read_at > _LOOK_S:
            with contextlib.suppress(sqlite3.Error):
                self._known = self._read()
            self._read_at = time.monotonic()
        return self._known.get(device)

    def _read(self) -> dict[str, Numbers]:
        query = """
            SELECT d.device, b.boot, b.next_seq, b.through + 1 FROM boots b JOIN devices d ON d.id = b.device
            WHERE NOT b.counted
        """
        # Closed again, so that a gateway that was killed finds its file as it left it.
        with contextlib.closing(sqlite3.connect(f"file:{self._path}?mode=ro", uri=True, timeout=1)) as file:
            return {device: Numbers(*rest) for device, *rest in file.execute(query)}


class SiteSender(Sender):
    """A machine that cannot count, at the site's broker: one JSON object a message, its number in it.

    It has handed over its reading with the broker's PUBACK. `sent` and `confirmed` are what the gateway's disk has of
    it: from there on nothing may be lost.
    """

    def __init__(self, device: str, rng: random.Random, address: MqttAddress, per_s: float, outbox: OutboxFile) -> None:
        super().__init__(device, rng)
        self._bus = MqttBus(address, f"faults-{device}", persistent=False)
        self._per_s, self._outbox = per_s, outbox
        self.acknowledged = 0

    @property
    def sent(self) -> dict[str, int]:
        known = self._outbox.numbers(self.device)
        return {} if known is None else {known.boot: known.given}

    @property
    def confirmed(self) -> dict[str, int]:
        known = self._outbox.numbers(self.device)
        return {} if known is None else {known.boot: known.stored}

    async def run(self) -> None:
        """Publish until stopped, then wait until nothing more reaches the outbox and all of it is stored."""
        async with self._bus:
            loop = asyncio.get_running_loop()
            began = loop.time()
            while not self.stopped.is_set():
                await asyncio.sleep(TICK_S)
                due = int((loop.time() - began) * self._per_s)
                await self._publish(min(due - self.acknowledged, int(self._per_s)))
        await self._quiet()

    async def _publish(self, readings: int) -> None:
        first = self.acknowledged
        said = [(f"hall/{self.device}", b'{"number": %d}' % number) for number in range(first, first + readings)]
        # Not taken in good time: the same again, as whoever cannot count would.
        with contextlib.suppress(TransientError):
            await self._bus.publish(said)
            self.acknowledged += readings

    async def _quiet(self) -> None:
        seen: dict[str, int] | None = None
        while seen != self.sent or self.under_way:
            seen = self.sent
            await asyncio.sleep(_QUIET_S)
