"""A device in another network: the product's uplink in a process of its own, which tells us its account.

`ip netns exec NAME python -m tests.faults.distant ADDRESS DEVICE SEED PER_S`: a line of JSON for every change, until a
line comes in, and then until all is confirmed.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import sys
import time
from typing import Any

import msgspec

from broker.address import MqttAddress
from tests.faults.processes import ROOT
from tests.faults.senders import MqttSender, Sender

_TOLD_EVERY_S = 0.05


class _Told(msgspec.Struct):
    sent: dict[str, int] = {}
    confirmed: dict[str, int] = {}


class DistantSender(Sender):
    """The account of that process. `network`: the namespace that it is to run in."""

    def __init__(self, device: str, rng: random.Random, network: str, address: MqttAddress, per_s: float) -> None:
        super().__init__(device, rng)
        self._network, self._address, self._per_s = network, address, per_s
        self._told = _Told()

    @property
    def sent(self) -> dict[str, int]:
        return self._told.sent

    @property
    def confirmed(self) -> dict[str, int]:
        return self._told.confirmed

    async def run(self) -> None:
        """Have it send until stopped; what it says last is that all is confirmed."""
        seed, per_s = str(self._rng.getrandbits(32)), str(self._per_s)
        process = await asyncio.create_subprocess_exec(
            "ip", "netns", "exec", self._network,
            sys.executable, "-m", "tests.faults.distant", self._address.url(), self.device, seed, per_s,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, cwd=ROOT,
        )  # fmt: skip
        assert process.stdin is not None
        assert process.stdout is not None
        stopping = asyncio.create_task(self._stop(process.stdin))
        try:
            async for line in process.stdout:
                self._told = msgspec.json.decode(line, type=_Told)
            if await process.wait() != 0:
                raise AssertionError(f"{self.device} ended with {process.returncode}")
        finally:
            stopping.cancel()
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()

    async def _stop(self, line: asyncio.StreamWriter) -> None:
        await self.stopped.wait()
        line.write(b"stop\n")
        await line.drain()


async def _main(url: str, device: str, seed: str, per_s: str) -> None:
    def now_ms() -> int:
        return int(time.time() * 1000)

    # Its reconnections are expected, and would be told.
    logging.disable(logging.CRITICAL)
    sender = MqttSender(device, random.Random(int(seed)), MqttAddress.parse(url), float(per_s), now_ms)
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), sender.stopped.set)
    work = asyncio.create_task(sender.run())
    while not work.done():
        _tell(sender)
        await asyncio.wait([work], timeout=_TOLD_EVERY_S)
    loop.remove_reader(sys.stdin.fileno())
    _tell(sender)
    await work


def _tell(sender: MqttSender) -> None:
    account: dict[str, Any] = {"sent": sender.sent, "confirmed": sender.confirmed}
    print(msgspec.json.encode(account).decode(), flush=True)


if __name__ == "__main__":
    asyncio.run(_main(*sys.argv[1:]))
