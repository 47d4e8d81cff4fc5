"""A Historian that stands still under load: readiness falls, nobody's memory grows, and in the end all is stored."""

from __future__ import annotations

import asyncio
import contextlib
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator

import httpx
import pytest
import stamina

from broker.address import MqttAddress
from broker.mqtt import MqttBus
from contract.errors import TransientError
from contract.telemetry import encode
from contract.topics import Channel, DeviceTopic
from tests.support.installation import Ronda, clean_environment, until
from tests.support.ports import free_port
from tests.system.conftest import Make

SITE, DEVICES, BURST = "plant-1", 10, 50
START_MS = int(time.time() * 1000)
QUEUED = 1000
# What a queue, its window and a socket of each of them may hold; a queue that grew in memory takes more within seconds.
MAY_GROW_BYTES = 48 * 1024 * 1024
# As long as the broker takes to miss a subscriber that stands still.
STILL_S = 20.0
WITHIN_S = 120


class Sender:
    """A device: one reading a message, QoS 1; a burst that the broker has not acknowledged whole is sent again."""

    def __init__(self, ronda: Ronda, device: str, password: str) -> None:
        self.device, self.boot, self.acknowledged = device, secrets.token_hex(8), 0
        self._topic = str(DeviceTopic(SITE, device, Channel.TELEMETRY))
        self._address = MqttAddress(host="127.0.0.1", port=ronda.mqtt_port).with_user(f"{SITE}/{device}", password)

    async def run(self, stop: asyncio.Event) -> None:
        async with MqttBus(self._address, f"{SITE}/{self.device}", persistent=False) as bus:
            while not stop.is_set():
                seqs = range(self.acknowledged, self.acknowledged + BURST)
                await self._until_acknowledged(
                    bus, [(self._topic, encode(self.boot, [(seq, START_MS + seq, {"a": float(seq)})])) for seq in seqs]
                )
                self.acknowledged += BURST

    @staticmethod
    async def _until_acknowledged(bus: MqttBus, rows: list[tuple[str, bytes]]) -> None:
        async for attempt in stamina.retry_context(TransientError, attempts=None, timeout=None, wait_max=1.0):
            with attempt:
                await bus.publish(rows)


@contextlib.contextmanager
def historian(ronda: Ronda) -> Iterator[subprocess.Popen[bytes]]:
    """The Historian as a process of its own."""
    command = [sys.executable, "-m", "ronda", "agent", "historian", "--data", str(ronda.data)]
    process = subprocess.Popen(command, env=clean_environment(), cwd=ronda.data.parent)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGCONT)
        process.terminate()
        process.wait(30)


def add_devices(ronda: Ronda) -> list[Sender]:
    with ronda.http() as client:
        added = [client.post("/api/v1/devices", json={"site": SITE, "device": f"d-{n}"}).json() for n in range(DEVICES)]
    return [Sender(ronda, one["device"], one["password"]) for one in added]


@contextlib.asynccontextmanager
async def sending(senders: list[Sender]) -> AsyncIterator[None]:
    stop = asyncio.Event()
    tasks = [asyncio.create_task(sender.run(stop)) for sender in senders]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*tasks)


def behind(url: str) -> list[str]:
    answer = httpx.get(url, timeout=10)
    assert answer.status_code in (200, 503)
    return list(answer.json()["behind"])


def names(found: list[str], queue: str) -> bool | None:
    return True if any(queue in each for each in found) else None


@pytest.mark.timeout(400)
async def test_readiness_falls_before_memory_does_and_comes_back_with_everything_stored(make_ronda: Make) -> None:
    page = free_port()
    environment = {"BROKER_QUEUE_MESSAGES": str(QUEUED), "METRICS_PORT": str(page)}
    ronda = make_ronda("--devices", "0", "--without", "historian", environment=environment).start()
    await asyncio.to_thread(ronda.until_up)
    senders = add_devices(ronda)
    api, hub = f"{ronda.url}/readyz", f"http://127.0.0.1:{page}/readyz"
    with historian(ronda) as process:
        # Before its first visit the broker knows no queue of an agent that `ronda up` was told to leave out.
        await asyncio.to_thread(until, lambda: begun(ronda) or None, "the Historian at the broker", 60)
        async with sending(senders):
            await asyncio.to_thread(
                until, lambda: stored(ronda, senders) or None, "the first readings at the store", 60
            )
            before = memory(ronda)
            process.send_signal(signal.SIGSTOP)
            await asyncio.to_thread(until, lambda: names(behind(api), "queue of historian"), "the API's readiness", 60)
            await asyncio.to_thread(until, lambda: names(behind(hub), "queue of historian"), "the hub's readiness", 60)
            refused = await asyncio.to_thread(post, ronda)
            assert (refused.status_code, refused.json()["reason"]) == (503, "behind")
            assert int(refused.headers["retry-after"]) > 0
            grown = await asyncio.to_thread(most_grown, ronda, before)
            process.send_signal(signal.SIGCONT)
            assert max(grown.values()) < MAY_GROW_BYTES, grown
            await asyncio.to_thread(until, lambda: not behind(api) or None, "readiness is back", WITHIN_S)
        acknowledged = sum(sender.acknowledged for sender in senders)
        await asyncio.to_thread(
            until, lambda: stored(ronda, senders) == acknowledged or None, lambda: f"{acknowledged} stored", WITHIN_S
        )
    boots = ", ".join(f"'{sender.boot}'" for sender in senders)
    [(rows, distinct)] = await asyncio.to_thread(
        ronda.sql, f"SELECT count(*), count(DISTINCT (device, boot, seq)) FROM readings WHERE boot IN ({boots})"
    )
    assert rows == distinct == acknowledged
    assert ronda.get("/api/v1/ledger", site=SITE)["items"][0]["lost"] == 0


def begun(ronda: Ronda) -> bool:
    return any(line["event"] == "agent.started" and line["agent"] == "historian" for line in ronda.log_lines())


def stored(ronda: Ronda, senders: list[Sender]) -> int:
    boots = ", ".join(f"'{sender.boot}'" for sender in senders)
    return int(ronda.sql(f"SELECT coalesce(sum(stored), 0) FROM boots WHERE boot IN ({boots})")[0][0])


def post(ronda: Ronda) -> httpx.Response:
    with ronda.http() as client:
        body = {"site": SITE, "device": "d-0", "ts": START_MS, "values": {"a": 1.0}}
        return client.post("/api/v1/ingest", json=body)


def memory(ronda: Ronda) -> dict[str, int]:
    """Bytes of the processes between the Historian and the senders."""
    return {name: ronda.part(name).memory_info().rss for name in ("hub", "api")}


def most_grown(ronda: Ronda, before: dict[str, int]) -> dict[str, int]:
    """Bytes that each took more at any time while everything stood still behind the Historian."""
    end, most = time.monotonic() + STILL_S, dict.fromkeys(before, 0)
    while time.monotonic() < end:
        for name, now in memory(ronda).items():
            most[name] = max(most[name], now - before[name])
        time.sleep(0.5)
    return most
