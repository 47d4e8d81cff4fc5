"""The broker of the stack, from what is prepared for it to its start script, with Debian's Mosquitto."""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from broker.address import MqttAddress
from broker.bus import RefusedError
from broker.credentials import Credentials
from broker.listeners import TlsFiles
from broker.mqtt import MqttBus
from contract.topics import Channel, DeviceTopic
from ronda.guards import free_port
from ronda.stack.prepare import prepare_broker
from ronda.stack.secrets import make_secrets, read_mqtt_users
from tests.containers.manifest import ROOT

pytestmark = pytest.mark.mosquitto

SCRIPT = ROOT / "deploy" / "compose" / "mosquitto.sh"
# Each try of a refused connection is a second of the script's watch at most.
WITHIN_S = 20.0


@contextlib.asynccontextmanager
async def stack_broker(folder: Path) -> AsyncIterator[tuple[MqttAddress, Credentials]]:
    """Mosquitto as its container runs it, its paths and port moved to where a test may have them."""
    secrets, port = folder / "secrets", free_port("127.0.0.1")
    make_secrets(secrets)
    (folder / "broker").mkdir()
    tls = TlsFiles(secrets / "mosquitto.crt", secrets / "mosquitto.key")
    prepare_broker(folder, secrets / "mqtt_users", tls)
    config = folder / "broker" / "mosquitto.conf"
    text = config.read_text().replace("listener 8883", f"listener {port}").replace("/mosquitto/data/", f"{folder}/")
    # Started by root it would become a user who may not read a test's folder.
    config.write_text(text + ("user root\n" if os.geteuid() == 0 else ""))
    environment = {"PATH": f"{os.environ['PATH']}:/usr/sbin"}
    process = await asyncio.create_subprocess_exec("sh", str(SCRIPT), str(folder / "broker"), env=environment)
    try:
        address = MqttAddress(host="localhost", port=port, tls=True).trusting(secrets / "ca.crt")
        yield address, Credentials(folder / "broker" / "passwd")
    finally:
        process.terminate()
        assert await asyncio.wait_for(process.wait(), WITHIN_S) == 0


async def test_a_device_that_the_api_adds_may_connect_and_one_that_it_revokes_no_more(tmp_path: Path) -> None:
    async with asyncio.timeout(60), stack_broker(tmp_path) as (address, credentials):
        pump = address.with_user("plant-1/pump-07", "its password")
        await until_refused(pump)
        credentials.set("plant-1/pump-07", "its password")
        await until_let_in(pump)
        credentials.remove("plant-1/pump-07")
        await until_refused(pump)


async def test_a_service_comes_in_with_its_secret_and_reads_what_a_device_may_write(tmp_path: Path) -> None:
    async with asyncio.timeout(60), stack_broker(tmp_path) as (address, credentials):
        credentials.set("plant-1/pump-07", "its password")
        password = read_mqtt_users(tmp_path / "secrets" / "mqtt_users")["acquisition"]
        telemetry = str(DeviceTopic("plant-1", "pump-07", Channel.TELEMETRY))
        await until_let_in(address.with_user("plant-1/pump-07", "its password"))
        async with (
            MqttBus(address.with_user("acquisition", password), "a", persistent=False) as agent,
            MqttBus(address.with_user("plant-1/pump-07", "its password"), "b", persistent=False) as device,
        ):
            await agent.subscribe("ronda/v1/+/+/telemetry")
            await device.publish([(telemetry, b"{}")])
            assert [message.topic for message in await agent.receive()] == [telemetry]


async def until_let_in(address: MqttAddress) -> None:
    async with asyncio.timeout(WITHIN_S):
        while True:
            with contextlib.suppress(RefusedError):
                async with MqttBus(address, "trying", persistent=False):
                    return
            await asyncio.sleep(0.1)


async def until_refused(address: MqttAddress) -> None:
    async with asyncio.timeout(WITHIN_S):
        while True:
            try:
                async with MqttBus(address, "trying", persistent=False):
                    await asyncio.sleep(0.1)
            except RefusedError:
                return
