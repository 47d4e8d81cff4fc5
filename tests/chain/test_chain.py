"""The whole chain, unchanged on the memory bus, the embedded broker and a real Mosquitto; the store is PostgreSQL.

Its core also on the two connections of our own client that an agent has at work.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial
from pathlib import Path

import msgspec
import pytest

from broker.bus import Bus
from broker.embedded import QueueSpec
from broker.memory import MemoryBroker
from broker.two_lines import TwoLines
from broker.wire import WireBus
from cloud.agents.acquisition import DataAcquisitionAgent
from cloud.agents.agent import Agent
from cloud.agents.anomaly_detection import AnomalyDetectionAgent
from cloud.agents.fault_names import ClassifierRef
from cloud.agents.historian import Historian
from cloud.agents.notification import NotificationAgent
from cloud.agents.registry import AGENTS, client_id, parties
from cloud.agents.runner import Runner
from cloud.agents.validation import ValidationAgent
from cloud.notifications.channel import Receipt
from cloud.notifications.decision import Policy
from cloud.notifications.notice import Locale, Notice
from cloud.notifications.notifier import Notifier
from cloud.notifications.refusal import AnyNotice, RefusalNotice
from cloud.storage.database import Database
from cloud.storage.hops import HopStore
from cloud.storage.machine_states import MachineStateStore
from cloud.storage.model_refusals import ModelRefusalStore
from cloud.storage.promotions import Promotion, PromotionStore
from cloud.storage.quarantine import Quarantine, Rejection
from cloud.storage.readings import ReadingStore
from contract.errors import Reason, RondaError
from contract.events import MachineStateEvent, ModelPromotedEvent, Watermark
from contract.telemetry import encode
from contract.topics import Channel, DeviceTopic
from detection.classifier import Classifier
from detection.fit import fit
from detection.model import Model
from ronda.agents import RegisteredDevices
from ronda.journal import NotificationJournal
from ronda.memory import DetectorMemory
from ronda.parts import clock_ms, elapsed_ms
from tests.support.brokers import RunningBroker, embedded, mosquitto
from tests.support.machines import METRICS, healthy, times

BOOT = "9f2c41d07be3a655"
SITE, DEVICE = "plant-1", "pump-07"
LEARNED = 900
BusFor = Callable[[str, str], Bus]
BUSES = ["memory", "embedded", "mosquitto"]
AS_AT_WORK = ["embedded-wire", "mosquitto-wire"]


class Outbox:
    """A channel that remembers."""

    name = "mail"

    def __init__(self) -> None:
        self.sent: list[AnyNotice] = []
        self.told = asyncio.Event()

    async def send(self, notice: AnyNotice) -> Receipt:
        self.sent.append(notice)
        self.told.set()
        return Receipt("250 kept", ["maintenance@plant-1.example"])


class Files:
    """The one model there is, unless a version was tampered with."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self.tampered = ""

    async def load(self, promotion: ModelPromotedEvent) -> Model:
        if promotion.model.version == self.tampered:
            raise RondaError("it was changed after its promotion")
        return self._model

    async def own_copy(self, promotion: ModelPromotedEvent) -> None:
        """There is none."""

    async def load_classifier(self, ref: ClassifierRef) -> Classifier:
        raise RondaError(f"no site has a classifier here, nor {ref.site}")


def chain(database: Database, files: Files, outbox: Outbox) -> list[Agent]:
    """The agents in order, with the real store."""
    notifier = Notifier(
        [outbox], policy=Policy(), base_url="http://ronda", locale=Locale(), now_ms=lambda: int(clock_ms())
    )
    return [
        DataAcquisitionAgent(clock_ms),
        ValidationAgent(RegisteredDevices(database), clock_ms),
        AnomalyDetectionAgent(files, DetectorMemory(database, "test", clock_ms, elapsed_ms), clock_ms, elapsed_ms),
        NotificationAgent(notifier, NotificationJournal(database, clock_ms), clock_ms),
        Historian(ReadingStore(database), HopStore(database), clock_ms),
    ]


@contextlib.asynccontextmanager
async def running(agents: Sequence[Agent], bus_for: BusFor) -> AsyncIterator[None]:
    """All agents at work."""
    runners = [
        Runner(agent, bus_for(client_id(type(agent)), agent.name), clock_ms=clock_ms, instance="0-63", since_ms=1)
        for agent in agents
    ]
    tasks = [asyncio.create_task(runner.run()) for runner in runners]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


@pytest.fixture(params=BUSES)
async def bus_for(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[BusFor]:
    """Makes a bus for (client id, user); the agents' queues exist before anybody publishes."""
    kinds = {client_id(kind): kind for kind in AGENTS}
    if request.param == "memory":
        broker = MemoryBroker()
        for client, kind in kinds.items():
            broker.declare(client, *kind.filters())
        yield lambda client, _user: broker.bus(client)
        return
    queues = {client: QueueSpec(kind.name, kind.filters()) for client, kind in kinds.items()}
    devices = [f"{SITE}/{DEVICE}"]
    kind_of_broker, _, wire = request.param.partition("-")
    made = (
        embedded(tmp_path, parties=parties(), devices=devices, queues=queues)
        if kind_of_broker == "embedded"
        else mosquitto(tmp_path, parties=parties(), devices=devices)
    )
    async with made as running_broker:
        for client, kind in kinds.items():
            if kind_of_broker == "mosquitto":
                async with running_broker.bus(client, kind.name) as bus:
                    await bus.subscribe(*kind.filters())
        yield partial(_as_at_work, running_broker) if wire else running_broker.bus


def _as_at_work(broker: RunningBroker, client: str, user: str) -> Bus:
    """As the hub opens it for an agent."""
    address = broker.address(user)
    return TwoLines(WireBus(address, client), WireBus(address, f"{client}-speaks", persistent=False))


async def learned(database: Database, start_ms: int) -> Files:
    """A model on the machine's healthy past, promoted in the store."""
    model = fit(healthy(LEARNED), times(LEARNED, start_ms=start_ms), METRICS).model
    await promoted(database, start_ms, "1")
    return Files(model)


async def promoted(database: Database, start_ms: int, version: str) -> None:
    await PromotionStore(database).promote(
        Promotion(
            site=SITE, device=DEVICE, version=version, name="ronda.plant-1.pump-07", run_id="run", sha256="sha",
            data_hash="hash", artifact_uri="memory:", rows=LEARNED, trained_from_ms=start_ms,
            trained_through_ms=start_ms + (LEARNED - 1) * 1000, promoted_at_ms=start_ms + int(version),
        )
    )  # fmt: skip


@pytest.mark.parametrize("bus_for", [*BUSES, *AS_AT_WORK], indirect=True)
async def test_a_reading_out_of_the_ordinary_becomes_one_message_with_its_id(
    bus_for: BusFor, database: Database
) -> None:
    outbox = Outbox()
    now_ms = int(time.time() * 1000)
    start_ms = now_ms - (LEARNED + 60) * 1000
    files = await learned(database, start_ms)
    values = healthy(60, seed=5)
    values[20:, 0] *= 3
    rows = [
        (seq, start_ms + (LEARNED + seq) * 1000, dict(zip(METRICS, map(float, row), strict=True)))
        for seq, row in enumerate(values)
    ]
    message = encode(BOOT, list(rows), traced=True, correlation_id="click-1")
    async with asyncio.timeout(60), running(chain(database, files, outbox), bus_for):
        async with bus_for("device", f"{SITE}/{DEVICE}") as device:
            await device.subscribe(str(DeviceTopic(SITE, DEVICE, Channel.STORED)))
            await device.publish([(str(DeviceTopic(SITE, DEVICE, Channel.TELEMETRY)), message)])
            await _until_through(device, 59)
        await outbox.told.wait()
        stations: set[str] = set()
        while not stations >= {"acquisition", "validation", "historian", "anomaly-detection", "notification", "mail"}:
            stations = {hop.station for hop in await HopStore(database).by_correlation("click-1")}
            await asyncio.sleep(0.05)
    (notice,) = outbox.sent
    assert isinstance(notice, Notice)
    assert notice.event.correlation_id == "click-1"
    assert notice.event.evidence.sensors[0].name == METRICS[0]
    assert await ReadingStore(database).count(SITE, DEVICE) == 60


async def test_garbage_is_quarantined_and_the_chain_goes_on(bus_for: BusFor, database: Database) -> None:
    files = await learned(database, 0)
    topic = str(DeviceTopic(SITE, DEVICE, Channel.TELEMETRY))
    good = encode(BOOT, [(0, int(time.time() * 1000), {"a": 1.0})])
    async with asyncio.timeout(60), running(chain(database, files, Outbox()), bus_for):
        async with bus_for("device", f"{SITE}/{DEVICE}") as device:
            await device.subscribe(str(DeviceTopic(SITE, DEVICE, Channel.STORED)))
            await device.publish([(topic, b"\x00garbage"), (topic, good)])
            await _until_through(device, 0)
        found: list[Rejection] = []
        while not found:
            found = await Quarantine(database).newest()
            await asyncio.sleep(0.05)
    assert [(each.reason, each.payload) for each in found] == [(Reason.MALFORMED_JSON, b"\x00garbage")]


async def test_a_poisoned_model_is_told_the_one_before_goes_on_and_the_machine_says_how_it_is(
    bus_for: BusFor, database: Database
) -> None:
    outbox = Outbox()
    start_ms = int(time.time() * 1000) - (LEARNED + 60) * 1000
    files = await learned(database, start_ms)
    await promoted(database, start_ms, "2")
    files.tampered = "2"
    row = dict(zip(METRICS, map(float, healthy(1, seed=5)[0]), strict=True))
    message = encode(BOOT, [(0, start_ms + LEARNED * 1000, row)])
    async with asyncio.timeout(60), running(chain(database, files, outbox), bus_for):
        await outbox.told.wait()
        async with bus_for("device", f"{SITE}/{DEVICE}") as device:
            await device.publish([(str(DeviceTopic(SITE, DEVICE, Channel.TELEMETRY)), message)])
            state: MachineStateEvent | None = None
            while state is None or state.measured_at_ms < start_ms + LEARNED * 1000:
                state = await MachineStateStore(database).get(SITE, DEVICE)
                await asyncio.sleep(0.05)
        (kept,) = (await ModelRefusalStore(database).newest(SITE, DEVICE)).values()
    (notice,) = outbox.sent
    assert isinstance(notice, RefusalNotice)
    assert (notice.event, kept.model.version) == (kept, "2")
    assert state.model is not None
    assert state.model.version == "1"


async def _until_through(device: Bus, seq: int) -> None:
    """Until the store says that everything up to `seq` may be forgotten."""
    while True:
        for message in await device.receive():
            if msgspec.json.decode(message.payload, type=Watermark).through >= seq:
                return
