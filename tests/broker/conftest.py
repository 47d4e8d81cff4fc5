"""Both real brokers, for tests that must come out alike on either."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from broker.mqtt import MqttBus
from broker.wire import WireBus
from contract.access import Party
from tests.support.brokers import RunningBroker, embedded, mosquitto

PUMP, OTHER, ELSEWHERE, GATEWAY = "plant-1/pump-07", "plant-1/pump-08", "plant-2/pump-07", "gateway/plant-1"
DEVICES = (PUMP, OTHER, ELSEWHERE, GATEWAY)
ACQUISITION = Party(name="acquisition", writes=["ronda-chain/v1/ingested/+"], reads=["ronda/v1/+/+/telemetry"])


def started(kind: str, folder: Path) -> AbstractAsyncContextManager[RunningBroker]:
    """A running broker of this kind with three devices, a gateway, a service, and somebody who may do everything."""
    open_one = {"embedded": embedded, "mosquitto": mosquitto}[kind]
    return open_one(folder, parties=[ACQUISITION], devices=DEVICES)


@pytest.fixture(params=["embedded", "mosquitto"])
async def running(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[RunningBroker]:
    """Either broker."""
    async with started(request.param, tmp_path) as broker:
        yield broker


@pytest.fixture
async def ours(tmp_path: Path) -> AsyncIterator[RunningBroker]:
    """The embedded broker alone."""
    async with started("embedded", tmp_path) as broker:
        yield broker


@pytest.fixture(params=[MqttBus, WireBus])
def client(request: pytest.FixtureRequest) -> type[MqttBus | WireBus]:
    """Either client."""
    found: type[MqttBus | WireBus] = request.param
    return found
