"""The broker and the agents: each alone in its process, or all in one, which is what `ronda up` runs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from functools import partial
from pathlib import Path

from broker.credentials import Credentials, secret_client_id
from broker.mqtt import MqttBus, Will
from cloud.agents.registry import AGENTS, agent_named, client_id
from cloud.agents.runner import Runner, last_will
from cloud.storage.database import Database
from contract.identity import PARTITIONS
from ronda.agents import build
from ronda.guards import LOOPBACK, alone, check_port
from ronda.installation import AGENT_NAMES, Installation, InstallationError
from ronda.learning import keep_learning
from ronda.logs import current_agent, set_up_logs
from ronda.parties import parties
from ronda.parts import Surroundings, clock_ms
from ronda.processes import kept_alive, until_told_to_stop
from ronda.provision import register_machines
from ronda.settings import load_settings

ALL_PARTITIONS = f"0-{PARTITIONS - 1}"


async def run_hub(data: Path) -> None:
    """Broker, agents and the watch for machines that have run long enough to learn from, until told to stop."""
    around = Surroundings("hub", data)
    installation = Installation(data)
    async with contextlib.AsyncExitStack() as stack:
        if around.runtime.broker == "embedded":
            runtime = around.runtime
            await stack.enter_async_context(
                embedded_broker(installation, runtime.mqtt_host, runtime.mqtt_port, runtime.agents)
            )
        # The broker stays when the database is away: devices hand over what is stored later.
        work = asyncio.create_task(kept_alive("agents", partial(_agents_at_work, around, installation)))
        stack.push_async_callback(_cancel, [work])
        await until_told_to_stop()


async def _agents_at_work(around: Surroundings, installation: Installation) -> None:
    """All agents, each begun again by itself when it fails, and the watch for machines that are due to learn."""
    async with open_database(around) as database:
        await register_machines(installation, database)
        works = {name: partial(_work, around, database, name, None) for name in around.runtime.agents}
        works["learning"] = partial(keep_learning, around, database)
        async with asyncio.TaskGroup() as group:
            for name, work in works.items():
                group.create_task(kept_alive(name, work))


async def run_agent(name: str, data: Path | None, partitions: str | None) -> None:
    """One agent alone, until told to stop. Raises: InstallationError for a name or partitions that are none."""
    if name not in AGENT_NAMES:
        raise InstallationError(f"there is no agent {name!r}; there are {', '.join(AGENT_NAMES)}")
    owned = parse_partitions(partitions)
    around = Surroundings(f"agent-{name}", data)
    if data is not None and name in around.runtime.agents:
        raise InstallationError(f"`ronda up` runs {name} itself; start it with --without {name} to run it here")
    work = asyncio.create_task(kept_alive(name, partial(_one_at_work, around, name, owned)))
    await until_told_to_stop()
    await _cancel([work])


async def _one_at_work(around: Surroundings, name: str, partitions: list[int] | None) -> None:
    async with open_database(around) as database:
        await _work(around, database, name, partitions)


async def run_broker(data: Path, port: int) -> None:
    """The embedded broker alone in the folder `data`, with queues for all agents, until told to stop."""
    installation = Installation(data)
    installation.create()
    with alone(installation.root):
        check_port(LOOPBACK, port, "--mqtt-port")
        set_up_logs("broker", load_settings().log_level, installation.logs)
        Credentials(installation.passwd).set_all(installation.secrets().services)
        async with embedded_broker(installation, LOOPBACK, port, AGENT_NAMES):
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
    database = Database(around.runtime.database_url)
    await database.open()
    try:
        await database.migrate()
        yield database
    finally:
        await database.close()


async def _work(around: Surroundings, database: Database, name: str, partitions: list[int] | None) -> None:
    """One life of one agent."""
    current_agent.set(name)
    kind = agent_named(name)
    instance = ALL_PARTITIONS if partitions is None else f"{partitions[0]}-{partitions[-1]}"
    since_ms = int(clock_ms())
    topic, payload = last_will(kind, instance, since_ms)
    address = around.mqtt(name)
    plain = client_id(kind, None if partitions is None else instance)
    bus = MqttBus(address, secret_client_id(plain, address.password), will=Will(topic, payload))
    agent = build(name, around, database, f"{instance}@{since_ms}", partitions)
    await Runner(agent, bus, clock_ms=clock_ms, instance=instance, since_ms=since_ms, partitions=partitions).run()


@contextlib.asynccontextmanager
async def embedded_broker(
    installation: Installation, host: str, port: int, agents: Sequence[str]
) -> AsyncIterator[None]:
    """The broker of the folder, with a queue for each of `agents` before anybody publishes."""
    from broker.embedded import EmbeddedBroker, QueueSpec, counted

    passwords = installation.secrets().services
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
    )
    await server.start()
    try:
        async with counted(server.status):
            yield
    finally:
        await server.stop()


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
