"""A service's sessions on the brokers as `ronda up` starts them: out of reach for a device that knows their names."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.address import MqttAddress
from broker.credentials import Credentials, secret_client_id
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
