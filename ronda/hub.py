"""The broker and the agents: each alone in its process, or all in one, which is what `ronda up` runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from broker.credentials import Credentials, secret_client_id
from broker.fullness import MAX_MESSAGES
from broker.listeners import Listener
from broker.mqtt import MqttBus, Will
from broker.two_lines import TwoLines
from broker.wire import WireBus
from cloud.agents.anomaly_detection import AnomalyDetectionAgent
from cloud.agents.historian import Historian
from cloud.agents.registry import AGENTS, agent_named, client_id
from cloud.agents.runner import Runner, last_will
from cloud.storage.database import Database
from contract.identity import PARTITIONS
from ronda.agents import build
from ronda.guards import alone, check_port
from ronda.installation import AGENT_NAMES, Installation, InstallationError, service_passwords
from ronda.logs import current_agent, set_up_logs
from ronda.metrics.broker import BrokerCollector
from ronda.metrics.fullness import FullnessCollector, looked_after
from ronda.metrics.page import Metrics, metrics_served
from ronda.parties import parties
from ronda.parts import Surroundings, clock_ms
from ronda.processes import kept_alive, until_told_to_stop
from ronda.provision import register_machines
from ronda.quarantine import keep_quarantine
from ronda.settings import load_settings
from ronda.silence import listen_for_silence
from ronda.store import opened_store
from ronda.tls.listening import listening, material, mqtt_listeners, place_of
from ronda.training.learning import keep_learning
from ronda.upkeep import keep_in_shape

if TYPE_CHECKING:
    from broker.embedded import EmbeddedBroker

# In place of an agent's name: the whole chain in one process, with 148 MB where one agent alone has 111 to 147.
EVERY = "all"
ALL_PARTITIONS = f"0-{PARTITIONS - 1}"
# By MQTT_CLIENT.
_CLIENTS: Mapping[str, type[WireBus | MqttBus]] = {"own": WireBus, "aiomqtt": MqttBus}


async def run_hub(data: Path) -> None:
    """Broker, agents and the watch for machines that have run long enough to learn from, until told to stop."""
    around = Surroundings("hub", data)
    installation = Installation(data)
    metrics = Metrics(data)
    async with contextlib.AsyncExitStack() as stack:
        if around.runtime.broker == "embedded":
            runtime = around.runtime
            plain, further = mqtt_listeners(place_of(runtime), runtime.mqtt_port, runtime.mqtts_port)
            broker = await stack.enter_async_context(
                embedded_broker(
                    installation, plain.host, plain.port, runtime.agents, further,
                    most=around.settings.broker_queue_messages,
                )
            )  # fmt: skip
            await stack.enter_async_context(_told(broker, metrics))
        await stack.enter_async_context(metrics_served(around.settings, metrics.page, metrics.not_ready))
        # The broker stays when the database is away: devices hand over what is stored later.
        work = asyncio.create_task(kept_alive("agents", partial(_agents_at_work, around, installation, metrics)))
        stack.push_async_callback(_cancel, [work])
        await until_told_to_stop()


async def _agents_at_work(around: Surroundings, installation: Installation, metrics: Metrics) -> None:
    """All agents, each begun again by itself when it fails, and the watch for machines that are due to learn."""
    async with open_database(around) as database:
        await register_machines(installation, database)
        works = {name: partial(_work, around, database, metrics, name, None) for name in around.runtime.agents}
        works["learning"] = partial(keep_learning, around, database)
        works["quarantine"] = partial(keep_quarantine, around, database)
        if Historian.name in around.runtime.agents:
            works["upkeep"] = partial(keep_in_shape, around, database)
        if AnomalyDetectionAgent.name in around.runtime.agents:
            works["silence"] = partial(listen_for_silence, around, database)
        async with asyncio.TaskGroup() as group:
            for name, work in works.items():
                group.create_task(kept_alive(name, work))


async def run_agent(name: str, data: Path | None, partitions: str | None) -> None:
    """One agent alone, or `all` of them, until told to stop.

    Raises: InstallationError for a name or partitions that are none.
    """
    if name not in (*AGENT_NAMES, EVERY):
        raise InstallationError(f"there is no agent {name!r}; there are {', '.join(AGENT_NAMES)}, or {EVERY} of them")
    owned = parse_partitions(partitions)
    # All of them answer for what each answers for, and only notification has a secret of its own.
    around = Surroundings("agent-notification" if name == EVERY else f"agent-{name}", data)
    if data is not None and name == EVERY:
        raise InstallationError(f"`ronda up` runs the agents itself; {EVERY} of them is for a host without it")
    if data is not None and name in around.runtime.agents:
        raise InstallationError(f"`ronda up` runs {name} itself; start it with --without {name} to run it here")
    metrics = Metrics(data or Path.cwd())
    async with metrics_served(around.settings, metrics.page):
        names = AGENT_NAMES if name == EVERY else (name,)
        works = [
            asyncio.create_task(kept_alive(each, partial(_one_at_work, around, metrics, each, owned))) for each in names
        ]
        if "historian" in names:
            works.append(asyncio.create_task(kept_alive("quarantine", partial(_quarantine_bounded, around))))
            works.append(asyncio.create_task(kept_alive("upkeep", partial(_store_in_shape, around))))
        if AnomalyDetectionAgent.name in names:
            works.append(asyncio.create_task(kept_alive("silence", partial(_silence_heard, around))))
        await until_told_to_stop()
        await _cancel(works)


async def _one_at_work(around: Surroundings, metrics: Metrics, name: str, partitions: list[int] | None) -> None:
    async with open_database(around) as database:
        await _work(around, database, metrics, name, partitions)


async def _quarantine_bounded(around: Surroundings) -> None:
    """Beside who fills it, in a process of its own or not."""
    async with open_database(around) as database:
        await keep_quarantine(around, database)


async def _store_in_shape(around: Surroundings) -> None:
    """As above; of several processes one does it at a time."""
    async with open_database(around) as database:
        await keep_in_shape(around, database)


async def _silence_heard(around: Surroundings) -> None:
    """As above, beside the detector."""
    async with open_database(around) as database:
        await listen_for_silence(around, database)


async def run_broker(data: Path, listen: str | None, port: int, tls_port: int, *, insecure: bool = False) -> None:
    """The embedded broker alone in the folder `data`, with queues for all agents, until told to stop."""
    installation, settings = Installation(data), load_settings("broker")
    place = listening(listen, material(settings, installation), insecure=insecure)
    plain, further = mqtt_listeners(place, port, tls_port)
    installation.create()
    with alone(installation.root):
        check_port(plain.host, port, "--mqtt-port")
        for listener in further:
            check_port(listener.host, tls_port, "--mqtts-port")
        metrics = Metrics(data)
        set_up_logs("broker", settings.log_level, installation.logs)
        for warning in place.warned():
            print(f"note: {warning}", flush=True)
        common = settings.mqtt_services_secret.get_secret_value()
        passwords = service_passwords(common) if common else installation.secrets().services
        Credentials(installation.passwd).set_all(passwords)
        most = settings.broker_queue_messages
        async with (
            embedded_broker(installation, plain.host, port, AGENT_NAMES, further, passwords, most=most) as broker,
            _told(broker, metrics),
            metrics_served(settings, metrics.page, metrics.not_ready),
        ):
            await until_told_to_stop()


def parse_partitions(text: str | None) -> list[int] | None:
    """`0-15` → [0 … 15]; None: all. Raises: InstallationError for what is no range of 0 to 63."""
    if text is None:
        return None
    first, _, last = text.partition("-")
    with contextlib.suppress(ValueError):
        owned = list(range(int(first), int(last or first) + 1))
        if owned and owned[0] >= 0 and owned[-1] < PARTITIONS:
            return owned
    raise InstallationError(f"--partitions {text!r} is no range within 0-{PARTITIONS - 1}, such as 0-15")


@contextlib.asynccontextmanager
async def open_database(around: Surroundings) -> AsyncIterator[Database]:
    """The store, its tables up to date."""
    async with opened_store(around.runtime.database_url, around.settings) as database:
        yield database


async def _work(
    around: Surroundings, database: Database, metrics: Metrics, name: str, partitions: list[int] | None
) -> None:
    """One life of one agent."""
    current_agent.set(name)
    kind = agent_named(name)
    instance = ALL_PARTITIONS if partitions is None else f"{partitions[0]}-{partitions[-1]}"
    since_ms = int(clock_ms())
    topic, payload = last_will(kind, instance, since_ms)
    address = around.mqtt(name)
    plain = client_id(kind, None if partitions is None else instance)
    identifier = secret_client_id(plain, address.password)
    client = _CLIENTS[around.settings.mqtt_client]
    bus = TwoLines(
        client(address, identifier, will=Will(topic, payload)),
        client(address, f"{identifier}-speaks", persistent=False),
    )
    agent = build(name, around, database, f"{instance}@{since_ms}", partitions, metrics.agents)
    watch = metrics.agents.of(name)
    runner = Runner(
        agent, bus, clock_ms=clock_ms, instance=instance, since_ms=since_ms, partitions=partitions, watch=watch
    )
    await runner.run()


@contextlib.asynccontextmanager
async def embedded_broker(
    installation: Installation,
    host: str,
    port: int,
    agents: Sequence[str],
    further: Sequence[Listener] = (),
    passwords: Mapping[str, str] | None = None,
    *,
    most: int = MAX_MESSAGES,
) -> AsyncIterator[EmbeddedBroker]:
    """The broker of the folder, with a queue for each of `agents` before anybody publishes.

    `passwords`: the services', by default those that the folder keeps. `most`: messages in one service's queue.
    """
    from broker.embedded import EmbeddedBroker, Limits, QueueSpec, counted

    passwords = passwords or installation.secrets().services
    queues = {
        secret_client_id(client_id(agent), passwords[agent.name]): QueueSpec(agent.name, agent.filters())
        for agent in AGENTS
        if agent.name in agents
    }
    server = EmbeddedBroker(
        installation.broker,
        host,
        port,
        Credentials(installation.passwd),
        parties(),
        queues,
        further=further,
        limits=Limits(rows=most),
    )
    await server.start()
    try:
        async with counted(server.status):
            yield server
    finally:
        await server.stop()


@contextlib.asynccontextmanager
async def _told(broker: EmbeddedBroker, metrics: Metrics) -> AsyncIterator[None]:
    """What the broker counts, and how full its queues are: to Prometheus, to our own readiness, and to the API."""
    metrics.registry.register(BrokerCollector(broker.status))
    metrics.registry.register(FullnessCollector(metrics.fullness))
    async with looked_after(metrics.fullness, broker.fills):
        yield


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
