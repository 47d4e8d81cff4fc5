"""A champion moved ten times under load, a poisoned artifact, an MLflow that dies: nothing lost, nothing twice."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

import msgspec
import numpy as np
import pytest

from broker.address import MqttAddress
from broker.mqtt import MqttBus
from cloud.models.registry import Provenance, Registry
from cloud.storage.database import Database
from cloud.storage.model_versions import ModelVersion, ModelVersionStore
from cloud.storage.promotions import PromotionStore
from contract.codec import encode_events
from contract.telemetry import encode
from contract.topics import Channel, DeviceTopic
from detection.episode import Phase
from detection.fit import Fitted, fit
from detection.machine import Machine
from detection.rows import Floats
from detection.settings import Settings
from tests.support.installation import Ronda, until
from tests.support.machines import METRICS, healthy, times
from tests.support.mlflow import MlflowServer
from tests.support.remembered import remembered
from tests.system.conftest import Make

SITE, DEVICE = "plant-1", "load"
LEARNED, MOVES = 900, 10
# Readings a second, at least; sent in the past of the data's own time, one a second of it.
LEAST_RATE, BURST, PAUSE_S = 50, 30, 0.35
# An hour and a half of the data's time: more than is sent.
AHEAD_S = 6000


class Said(NamedTuple):
    """What an alarm is known by."""

    phase: str
    since_ms: int
    at_ms: int


class Load:
    """A device that sends one reading a message, healthy until `sick_from` (number of a reading)."""

    def __init__(self, start_ms: int) -> None:
        self.boot, self.sent, self.sick_from = secrets.token_hex(8), 0, 1 << 40
        self.start_ms = start_ms
        self._values = healthy(AHEAD_S, 7)
        self.began = 0.0

    def values(self) -> Floats:
        """All that was sent (n, 4)."""
        values = self._values[: self.sent].copy()
        values[self.sick_from :, 0] *= 3
        return values

    def at_ms(self, seq: int) -> int:
        return self.start_ms + seq * 1000

    @contextlib.asynccontextmanager
    async def running(self, address: MqttAddress) -> AsyncIterator[None]:
        """Sends until the block ends."""
        stop = asyncio.Event()
        work = asyncio.create_task(self._run(address, stop))
        try:
            yield
        finally:
            stop.set()
            await work

    async def _run(self, address: MqttAddress, stop: asyncio.Event) -> None:
        topic = str(DeviceTopic(SITE, DEVICE, Channel.TELEMETRY))
        self.began = time.monotonic()
        async with MqttBus(address, "load", persistent=False) as bus:
            while not stop.is_set():
                burst = range(self.sent, self.sent + BURST)
                await bus.publish([(topic, encode(self.boot, [self._reading(seq)])) for seq in burst])
                self.sent += BURST
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(stop.wait(), PAUSE_S)

    def _reading(self, seq: int) -> tuple[int, int, dict[str, float]]:
        row = self._values[seq].copy()
        row[0] *= 3 if seq >= self.sick_from else 1
        return seq, self.at_ms(seq), dict(zip(METRICS, row.tolist(), strict=True))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MlflowServer]:
    running = MlflowServer(tmp_path, {}).start()
    yield running
    running.stop()


def test_nothing_is_lost_nor_judged_twice_whatever_happens_to_its_models(
    make_ronda: Make, server: MlflowServer, tmp_path: Path
) -> None:
    ronda = make_ronda("--devices", "1", environment={"MLFLOW_TRACKING_URI": server.url}).start()
    start_ms = (int(time.time()) - AHEAD_S) * 1000
    strictness = {"1": 2.5, "2": 3.0, "3": 2.2}
    fits = {version: learned(start_ms, each) for version, each in strictness.items()}
    models = registered(server.url, fits)
    poison(tmp_path, models["3"], fits["2"])
    ronda.until_ready()
    added = json.loads(ronda.run("device", "add", f"{SITE}/{DEVICE}", "--json", "--data", str(ronda.data)))
    # Nothing of its own accord: whatever is promoted here, the test promotes.
    ronda.sql(f"UPDATE devices SET learn_rows = 1000000 WHERE device = '{DEVICE}'")
    load = Load(start_ms + LEARNED * 1000)
    asyncio.run(Trial(ronda, server, models, load).run(added))
    check(ronda, load, fits)


class Trial:
    """What is done to the models while readings come."""

    def __init__(self, ronda: Ronda, server: MlflowServer, models: dict[str, ModelVersion], load: Load) -> None:
        self._ronda = ronda
        self._server = server
        self._models = models
        self._load = load

    async def run(self, credentials: dict[str, str]) -> None:
        local = MqttAddress(host="127.0.0.1", port=self._ronda.mqtt_port)
        device = local.with_user(credentials["username"], credentials["password"])
        trainer = local.with_user("trainer", self._ronda.secrets()["services"]["trainer"])
        database = Database(self._ronda.runtime()["database_url"])
        await database.open()
        try:
            async with self._load.running(device), MqttBus(trainer, "test-trainer", persistent=False) as bus:
                await self._moved_ten_times(database, bus)
                await self._poisoned(database, bus)
                await self._mlflow_dies(database, bus)
        finally:
            await database.close()

    async def _moved_ten_times(self, database: Database, bus: MqttBus) -> None:
        """Forth and back between two versions."""
        for model in self._models.values():
            await ModelVersionStore(database).add(model)
        for number in range(MOVES):
            version = "12"[number % 2]
            await self._promote(database, bus, version)
            await self._until(partial(self._has_moved, number + 1), f"move {number + 1}")

    def _has_moved(self, times_: int) -> bool:
        return len(swaps(self._ronda)) == times_

    async def _poisoned(self, database: Database, bus: MqttBus) -> None:
        await self._promote(database, bus, "3")
        await self._until(lambda: bool(refusals(self._ronda)), "the refusal")

    async def _mlflow_dies(self, database: Database, bus: MqttBus) -> None:
        """Back to a model that was used before goes without it; another one waits, and an alarm comes nevertheless."""
        self._server.killed()
        await self._promote(database, bus, "1")
        await self._until(partial(self._has_moved, MOVES + 1), "the roll-back without MLflow")
        await self._promote(database, bus, "3")
        await self._until(lambda: "model.away" in messages(self._ronda), "MLflow to be missed")
        self._load.sick_from = self._load.sent + 2 * BURST
        await self._until(lambda: bool(alarms(self._ronda)), "an alarm while MLflow is dead")

    async def _promote(self, database: Database, bus: MqttBus, version: str) -> None:
        promotion = self._models[version].promotion(int(time.time() * 1000))
        await PromotionStore(database).promote(promotion)
        await bus.publish(encode_events([promotion.event]), retain=True)

    async def _until(self, done: Callable[[], bool], what: str) -> None:
        await asyncio.to_thread(until, lambda: True if done() else None, lambda: f"{what}\n{self._ronda.errors()}", 20)


def check(ronda: Ronda, load: Load, fits: dict[str, Fitted]) -> None:
    """By SQL: all is stored; and what is remembered and raised is what one watch has, given each reading once."""
    query = f"SELECT count(*), count(DISTINCT seq), min(seq), max(seq) FROM readings WHERE boot = '{load.boot}'"
    all_of_it = (load.sent, load.sent, 0, load.sent - 1)
    until(lambda: True if ronda.sql(query) == [all_of_it] else None, lambda: f"{all_of_it}: {ronda.sql(query)}")
    seconds = time.monotonic() - load.began
    state = until(lambda: kept(ronda, load), "the detector's last state")
    expected, raised = replayed(load, fits, swaps(ronda))
    assert remembered(state) == remembered(expected)
    assert alarms(ronda) == raised
    assert raised
    assert load.sent / seconds > LEAST_RATE
    assert len(swaps(ronda)) == MOVES + 1
    (refusal,) = refusals(ronda)
    assert (refusal["model"]["version"], refusal["in_use"]["version"]) == ("3", "2")
    mail = until(lambda: mailed(ronda), "the mail about the refusal")
    assert "model version 3 is not used" in mail["subject"]
    print(f"{load.sent} readings at {load.sent / seconds:.0f}/s, {len(swaps(ronda))} swaps, {len(raised)} changes")


def learned(start_ms: int, sensitivity: float) -> Fitted:
    settings = Settings(sensitivity=sensitivity)
    return fit(healthy(LEARNED), times(LEARNED, start_ms=start_ms), METRICS, settings)


def registered(url: str, fits: dict[str, Fitted]) -> dict[str, ModelVersion]:
    registry = Registry(url, "")
    return {
        version: registry.register(SITE, DEVICE, fitted, Provenance(code_version="test", made_at_ms=1))
        for version, fitted in fits.items()
    }


def poison(folder: Path, victim: ModelVersion, other: Fitted) -> None:
    """Somebody writes a model of their own, sound in itself, over the one that was registered."""
    place = urlsplit(victim.artifact_uri).path
    (file,) = [path for path in folder.rglob("model.json") if str(path).endswith(place)]
    file.write_bytes(other.model.to_bytes())


def replayed(load: Load, fits: dict[str, Fitted], moves: Sequence[dict[str, Any]]) -> tuple[bytes, list[Said]]:
    """The state and the alarms of a watch that is given every reading once, and each model where the agent took it."""
    values = load.values()
    at_ms = np.array([load.at_ms(seq) for seq in range(load.sent)])
    cuts = [int(np.searchsorted(at_ms, move["position"][0], side="right")) for move in moves]
    state: bytes | None = None
    found: list[Said] = []
    for move, first, last in zip(moves, cuts, [*cuts[1:], load.sent], strict=True):
        machine = Machine.begun(fits[move["version"]].model, device=DEVICE, state=state)
        changes = machine.process(at_ms[first:last], values[first:last].T, METRICS)
        found += [Said(change.phase, change.since_ms, int(at_ms[first + change.row])) for change in changes]
        state = machine.state()
    return state or b"", [each for each in found if each.phase == Phase.RAISED]


def swaps(ronda: Ronda) -> list[dict[str, Any]]:
    lines = [line for line in ronda.log_lines() if line.get("asset") == f"{SITE}/{DEVICE}"]
    return [line for line in lines if line["event"] == "model.loaded"]


def messages(ronda: Ronda) -> set[str]:
    return {line["event"] for line in ronda.log_lines() if line.get("asset") == f"{SITE}/{DEVICE}"}


def refusals(ronda: Ronda) -> list[dict[str, Any]]:
    found = ronda.sql(f"SELECT event FROM model_refusals WHERE device = '{DEVICE}'")
    return [msgspec.json.decode(event) for (event,) in found]


def alarms(ronda: Ronda) -> list[Said]:
    found = ronda.sql(f"SELECT since_ms, raised_at_ms FROM anomalies WHERE device = '{DEVICE}' ORDER BY since_ms")
    return [Said(Phase.RAISED, since_ms, at_ms) for since_ms, at_ms in found]


def kept(ronda: Ronda, load: Load) -> bytes | None:
    query = f"SELECT state FROM detector_states WHERE device = '{DEVICE}' AND seq = {load.sent - 1}"
    found = ronda.sql(query)
    return found[0][0] if found else None


def mailed(ronda: Ronda) -> dict[str, Any] | None:
    items = ronda.get("/api/v1/mails")["items"]
    return next((mail for mail in items if "is not used" in mail["subject"]), None)
