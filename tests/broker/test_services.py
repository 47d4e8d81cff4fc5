"""A service's sessions on the brokers as `ronda up` starts them: out of reach for a device that knows their names."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import cast

import pytest

from broker.address import MqttAddress
from broker.credentials import Credentials, secret_client_id
from broker.mosquitto import Mosquitto, MosquittoError
from broker.mqtt import MqttBus
from cloud.agents.registry import agent_named, client_id
from ronda.hub import embedded_broker
from ronda.installation import AGENT_NAMES, Installation
from ronda.mosquitto import MosquittoPart
from tests.broker.conftest import PUMP
from tests.broker.suite.test_promises import everything
from tests.support.brokers import RunningBroker
from tests.support.mosquitto_tools import listen
from tests.support.ports import free_port

HOST = "127.0.0.1"
PLAIN = client_id(agent_named("validation"))
WANTED = [b"%d" % number for number in range(50)]


@pytest.fixture(params=["embedded", "mosquitto"])
async def port(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[int]:
    """The port of either broker, with the queues that the product makes in it."""
    installation, number = Installation(tmp_path), free_port()
    Credentials(installation.passwd).set_all(installation.secrets().services | {PUMP: "secret"})
    kinds = {"embedded": embedded_broker, "mosquitto": MosquittoPart}
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(kinds[request.param](installation, HOST, number, AGENT_NAMES))
        yield number


def address(folder: Path, port: int, service: str) -> MqttAddress:
    return MqttAddress(host=HOST, port=port).with_user(service, Installation(folder).secrets().services[service])


class Fallen:
    """A Mosquitto that does not come up; remembers how often it was tried."""

    running = False

    def __init__(self) -> None:
        self.tries = 0
        self.tried = asyncio.Condition()

    async def start(self) -> None:
        async with self.tried:
            self.tries += 1
            self.tried.notify_all()
        raise MosquittoError("Mosquitto does not accept connections")

    def reload(self) -> None:
        raise MosquittoError("Mosquitto is not running")


async def test_mosquitto_is_tried_again_although_a_user_came_while_it_was_down(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ronda.mosquitto._LOOK_S", 0.001)
    installation, fallen = Installation(tmp_path), Fallen()
    part = MosquittoPart(installation, HOST, free_port(), [])
    part._mosquitto = cast("Mosquitto", fallen)
    watch = asyncio.create_task(part._look_after())
    try:
        async with asyncio.timeout(10), fallen.tried:
            await fallen.tried.wait_for(lambda: fallen.tries > 1)
            Credentials(installation.passwd).set(PUMP, "secret")
            tried = fallen.tries
            await fallen.tried.wait_for(lambda: fallen.tries > tried + 2)
    finally:
        watch.cancel()
        await asyncio.gather(watch, return_exceptions=True)


async def test_a_device_that_knows_an_agents_plain_name_loses_it_nothing(tmp_path: Path, port: int) -> None:
    acquisition, validation = (address(tmp_path, port, name) for name in ("acquisition", "validation"))
    device = MqttAddress(host=HOST, port=port).with_user(PUMP, "secret")
    async with MqttBus(acquisition, "writer", persistent=False) as writer:
        await writer.publish([("ronda-chain/v1/ingested/3", payload) for payload in WANTED])
    for options in ((), ("-c",)):
        await listen(device, "#", "-i", PLAIN, *options)
    async with MqttBus(validation, secret_client_id(PLAIN, validation.password)) as agent:
        assert [message.payload for message in await everything(agent)] == WANTED


@pytest.mark.parametrize("options", [(), ("-c",)], ids=["clean", "persistent"])
async def test_a_device_that_has_a_services_plain_name_first_does_not_lock_it_out(
    running: RunningBroker, options: tuple[str, ...]
) -> None:
    await listen(running.address(PUMP), "#", "-i", "ronda-acquisition", *options)
    own = running.address("acquisition")
    ident = secret_client_id("ronda-acquisition", own.password)
    async with running.bus(ident, "acquisition") as service, running.bus("writer") as writer:
        await service.subscribe("ronda/v1/+/+/telemetry")
        await listen(running.address(PUMP), "#", "-i", "ronda-acquisition", *options)
        assert service.connected
        await writer.publish([(f"ronda/v1/{PUMP}/telemetry", payload) for payload in WANTED])
        assert [message.payload for message in await everything(service)] == WANTED
