"""A real `ronda up` with senders at work: what dies here is the command itself, or a part that it watches over."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import time
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncpg
import httpx
import psutil  # type: ignore[import-untyped]

from broker.address import MqttAddress
from tests.faults.fault import Fault, Hit
from tests.faults.field import Broker, Field
from tests.faults.senders import SITE, MqttSender
from tests.faults.web import HttpSender
from tests.support.installation import Ronda

_DEVICES = ("flow-1", "flow-2")
_CLIENT = "web-1"
_PER_S = 40.0
_AGAIN_S = 0.3


class Whole(Field):
    """`async with` starts it with one emulated pump, and waits until readings are stored."""

    def __init__(self, folder: Path, broker: Broker, seed: int) -> None:
        super().__init__(seed)
        self.ronda = Ronda(folder / "whole", "--devices", "1", "--broker", broker)
        self._token = ""

    async def __aenter__(self) -> Self:
        await asyncio.to_thread(lambda: self.ronda.start().until_ready())
        await self._log_in()
        for device in _DEVICES:
            text = await asyncio.to_thread(self._ronda_device_add, device)
            address = MqttAddress(host="127.0.0.1", port=self.ronda.mqtt_port)
            address = address.with_user(f"{SITE}/{device}", json.loads(text)["password"])
            self.add(MqttSender(device, self.rng, address, _PER_S, _now_ms))
        self.add(HttpSender(_CLIENT, self.rng, self.ronda.url, lambda: self._token, self._log_in, _now_ms))
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.dismiss()
        await asyncio.to_thread(self.ronda.stop)

    async def kill(self, part: str) -> Hit:
        """Kill -9 of one part. `ronda up` itself is started again by whoever started it; the others it starts again."""
        victim = await asyncio.to_thread(self._victim, part)
        hit = Hit(self.under_way, f"pid {victim}")
        os.kill(victim, signal.SIGKILL)
        if part == "ronda up":
            family = [process for process in psutil.Process().children(recursive=True) if process.pid != victim]
            await asyncio.to_thread(psutil.wait_procs, family, 20)
            self.ronda.start()
        return hit

    def _victim(self, part: str) -> int:
        if part == "ronda up":
            assert self.ronda.process is not None
            return self.ronda.process.pid
        if part == "postgres":
            return next(int(each.pid) for each in self.ronda.family() if each.name().startswith("postgres"))
        return int(self.ronda.part(part).pid)

    async def sql(self) -> asyncpg.Connection[Any]:
        while True:
            with contextlib.suppress(OSError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError):
                return await asyncpg.connect(self.ronda.runtime()["database_url"], ssl=False)
            await asyncio.sleep(_AGAIN_S)

    async def ledger(self) -> dict[str, dict[str, int]]:
        """What Ronda itself says of our senders, by device."""
        rows = (await asyncio.to_thread(self.ronda.get, "/api/v1/ledger"))["items"]
        return {row["device"]: row for row in rows if row["device"] in self.senders}

    def _ronda_device_add(self, device: str) -> str:
        return self.ronda.run("device", "add", f"{SITE}/{device}", "--json", "--data", str(self.ronda.data))

    async def _log_in(self) -> None:
        while True:
            with contextlib.suppress(httpx.HTTPError):
                self._token = await asyncio.to_thread(self._new_token)
                return
            await asyncio.sleep(_AGAIN_S)

    def _new_token(self) -> str:
        self.ronda._token = None
        with self.ronda.http() as client:
            return client.headers["Authorization"].partition(" ")[2]


def _now_ms() -> int:
    return int(time.time() * 1000)


WHOLE = tuple(
    Fault(f"`ronda up`: {words} killed", partial(Whole.kill, part=part), within_s=120.0)
    for part, words in {
        "ronda up": "the command itself",
        "hub": "broker and agents",
        "api": "API and dashboard",
        "emulate": "the emulated machines",
        "postgres": "PostgreSQL",
    }.items()
)
