"""A site for the tests: a gateway as a process of its own between two brokers, and who talks there."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import msgspec

from broker.bus import Bus
from contract import telemetry
from contract.topics import Channel, DeviceTopic
from edge.gateway.status import GatewayStatus, status_topic
from tests.edge.store import Store
from tests.support.brokers import RunningBroker

ROOT = Path(__file__).parents[3]
SITE, GATEWAY = "plant-1", "gateway/plant-1"
WAIT_S = 60
BOOT = "9f2c41d07be3a6{:02x}"
START_MS = 1_763_800_000_000

OWN = """\
site = "plant-1"
[[source]]
topic = "ronda/v1/plant-1/+/telemetry"
format = "ronda"
"""


class GatewayProcess:
    """`ronda gateway`, to be killed and started again on the same outbox."""

    def __init__(self, folder: Path, mapping: str, local: str, cloud: str) -> None:
        self.folder = folder
        self._mapping = folder / "site.toml"
        folder.mkdir(exist_ok=True)
        self._mapping.write_text(mapping)
        self._environment = os.environ | {"GATEWAY_LOCAL_URL": local, "MQTT_URL": cloud}
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "ronda", "gateway", str(self._mapping), "--data", str(self.folder / "data"),
                cwd=ROOT, env=self._environment, stdout=log, stderr=log,
            )  # fmt: skip

    async def end(self, how: signal.Signals = signal.SIGTERM) -> int:
        process, self.process = self.process, None
        if process is None:
            return 0
        with contextlib.suppress(ProcessLookupError):
            process.send_signal(how)
        try:
            return await asyncio.wait_for(process.wait(), 20)
        finally:
            with contextlib.suppress(ProcessLookupError):
                process.kill()

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()


@contextlib.asynccontextmanager
async def gateway(
    folder: Path, local: RunningBroker, cloud: RunningBroker, mapping: str = OWN
) -> AsyncIterator[GatewayProcess]:
    """Yields once it listens to the local broker: what is said before its first subscription is said to nobody."""
    process = GatewayProcess(folder / "gateway", mapping, local.address().url(), cloud.address(GATEWAY).url())
    async with local.bus("usher", persistent=False) as bus:
        await bus.subscribe(status_topic(SITE, "gateway"))
        await process.start()
        try:
            async with asyncio.timeout(WAIT_S):
                while not any(b"online" in message.payload for message in await bus.receive()):
                    pass
            yield process
        finally:
            await process.end(signal.SIGKILL)


class Talker:
    """A device's readings, numbered; what was said is remembered, to be compared with what arrives."""

    def __init__(self, bus: Bus, device: str, number: int = 0, *, metrics: int = 1) -> None:
        self._bus, self.device = bus, device
        self.boot = BOOT.format(number)
        self.next_seq = 0
        self._names = [f"x{metric:02}" for metric in range(metrics)]

    @property
    def said(self) -> set[tuple[str, int]]:
        return {(self.boot, seq) for seq in range(self.next_seq)}

    async def say(self, readings: int, *, each: int = 1) -> None:
        """So many more, `each` of them in a message."""
        first, self.next_seq = self.next_seq, self.next_seq + readings
        rows = [
            (seq, START_MS + 1000 * seq, dict.fromkeys(self._names, seq + 0.5)) for seq in range(first, self.next_seq)
        ]
        topic = str(DeviceTopic(SITE, self.device, Channel.TELEMETRY))
        batches = [rows[at : at + each] for at in range(0, readings, each)]
        await self._bus.publish([(topic, telemetry.encode(self.boot, [*batch])) for batch in batches])


async def until(reached: Callable[[], bool], seconds: float = WAIT_S) -> None:
    """For what nobody announces, such as a retained status."""
    async with asyncio.timeout(seconds):
        while not reached():  # what is waited for changes in another process
            await asyncio.sleep(0.05)


def statuses(store: Store, name: str = "gateway") -> list[GatewayStatus]:
    """What the gateway said of itself while it was there."""
    return [msgspec.json.decode(said, type=GatewayStatus) for said in store.statuses(name) if b'"online"' in said]
