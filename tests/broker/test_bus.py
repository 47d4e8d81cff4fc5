"""Each MQTT bus by itself: what it says when there is no broker, and how it comes back."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path
from typing import Any

import aiomqtt
import pytest

from broker.bus import RefusedError
from broker.mqtt import MqttAddress, MqttBus
from broker.wire import WireBus
from contract.errors import ContractError, TransientError
from tests.broker.suite.test_promises import everything
from tests.support.brokers import RunningBroker, embedded
from tests.support.ports import free_port
from tests.support.vanishing import vanish

PATIENCE_S = 20.0


Client = type[MqttBus | WireBus]


@pytest.fixture
def ours(ours: RunningBroker, client: Client) -> RunningBroker:
    """The embedded broker, spoken to by either client."""
    ours.client = client
    return ours


async def test_no_broker_is_one_clear_line(client: Client) -> None:
    port = free_port()
    with pytest.raises(TransientError, match=f"no MQTT broker answers at mqtt://127.0.0.1:{port}"):
        async with client(MqttAddress(host="127.0.0.1", port=port), "agent", timeout_s=0.5):
            pass


async def test_publishing_ends_after_a_bounded_time_when_the_broker_stays_away(tmp_path: Path, client: Client) -> None:
    async with embedded(tmp_path) as running, client(running.address(), "agent", timeout_s=0.5) as bus:
        await running.broker.stop()
        started = time.monotonic()
        with pytest.raises(TransientError, match="did not acknowledge in time"):
            await bus.publish([("plant/1", b"x")])
        assert time.monotonic() - started < 5.0


async def test_a_broker_that_comes_back_is_found_and_the_subscription_renewed(tmp_path: Path, client: Client) -> None:
    port = free_port()
    async with embedded(tmp_path, port=port) as first:
        bus = await client(first.address(), "dashboard", persistent=False).__aenter__()
        await bus.subscribe("plant/#")
    async with embedded(tmp_path, port=port) as second, second.bus("writer") as writer:
        async with asyncio.timeout(PATIENCE_S):
            while not bus.connected:
                await asyncio.sleep(0.02)
        await writer.publish([("plant/1", b"again")])
        assert [message.payload for message in await everything(bus)] == [b"again"]
        await bus.__aexit__(None, None, None)


async def test_many_tasks_publish_at_once(ours: RunningBroker) -> None:
    async with ours.bus("reader") as reader, ours.bus("writer") as writer:
        await reader.subscribe("plant/#")
        batches = [[(f"plant/{task}", f"{number}".encode()) for number in range(100)] for task in range(20)]
        await asyncio.gather(*map(writer.publish, batches))
        found = await everything(reader)
    assert len(found) == 2000
    for task in range(20):
        assert [m.payload for m in found if m.topic == f"plant/{task}"] == [payload for _, payload in batches[task]]


async def test_more_than_the_inbox_holds_waits_at_the_broker(
    ours: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.inbox.MAX_UNREAD", 50)
    payloads = [f"{number}".encode().ljust(1000) for number in range(3000)]
    async with ours.bus("reader") as reader, ours.bus("writer") as writer:
        await reader.subscribe("plant/#")
        await writer.publish([("plant/1", payload) for payload in payloads])
        # Our own client decodes all that one read of the socket brings: up to 256 kB.
        assert len(reader._inbox) <= (60 if isinstance(reader, MqttBus) else 50 + 260)
        assert [m.payload for m in await everything(reader)] == payloads


@pytest.mark.parametrize("topic", ["", "a/#", "a/+/b", "$SYS/x"])
async def test_what_is_no_topic_is_refused_before_it_is_sent(ours: RunningBroker, topic: str) -> None:
    async with ours.bus("writer") as writer:
        with pytest.raises(ContractError, match="not a topic"):
            await writer.publish([(topic, b"x")])
        with pytest.raises(ValueError, match="not a topic filter"):
            await writer.subscribe("a/#/b")


async def test_a_wrong_password_is_refused_at_once(ours: RunningBroker) -> None:
    started = time.monotonic()
    with pytest.raises(RefusedError, match="refuses agent"):
        async with ours.client(ours.address().with_user("everything", "wrong"), "agent"):
            pass
    assert time.monotonic() - started < 5.0


async def test_what_comes_before_the_subscription_is_renewed_can_be_acknowledged(
    ours: RunningBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with ours.bus("reader") as reader:
        await reader.subscribe("plant/#")
    async with ours.bus("writer") as writer:
        await writer.publish([("plant/1", b"x")] * 50)
    renewed = aiomqtt.Client.subscribe

    async def slow(self: aiomqtt.Client, *arguments: Any, **options: Any) -> Any:
        await asyncio.sleep(0.3)
        return await renewed(self, *arguments, **options)

    monkeypatch.setattr(aiomqtt.Client, "subscribe", slow)
    async with ours.bus("reader") as reader:
        reader._filters["plant/#"] = None
        vanish(reader)
        async with asyncio.timeout(PATIENCE_S):
            while waiting(ours, "reader"):
                await everything(reader)


def waiting(running: RunningBroker, client_id: str) -> int:
    """How many messages the client has still to acknowledge."""
    return next(queue.messages for queue in running.broker.status().queues if queue.client_id == client_id)


async def test_closing_while_it_reconnects_does_not_hang(ours: RunningBroker) -> None:
    for delay in (0.0, 0.2, 0.205, 0.21, 0.25):
        async with asyncio.timeout(PATIENCE_S), ours.bus("reader") as reader:
            await reader.subscribe("plant/#")
            vanish(reader)
            await asyncio.sleep(delay)
