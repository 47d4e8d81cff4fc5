"""Both brokers say how full they are, to those who may hear it and in words that nobody else can write."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from broker.bus import Message
from broker.embedded import Limits, QueueSpec
from broker.fullness import Fill
from broker.sys_tree import QUEUES, STORED, heard
from contract.access import Party
from contract.errors import TransientError
from tests.support.brokers import embedded, mosquitto

PATIENCE_S = 30
WEB = Party(name="web", writes=["plant/+"], reads=[QUEUES, STORED])
QUEUE = {"ronda-historian": QueueSpec("everything", ["plant/#"])}
PUMP = "plant-1/pump-07"


async def test_the_embedded_broker_says_which_queue_is_how_full(tmp_path: Path):
    async with (
        asyncio.timeout(PATIENCE_S),
        embedded(tmp_path, parties=[WEB], queues=QUEUE, limits=Limits(rows=20)) as running,
        running.bus("web", "web", persistent=False) as web,
    ):
        await web.subscribe(QUEUES)
        await web.publish([("plant/1", b"x")] * 15)
        fills = running.broker.fills()
        [message] = await web.receive()
        assert heard(QUEUES, message.payload, max_queued=1) == fills
        assert fills[0] == Fill("queue of everything", 15, 20, "messages")


async def test_a_full_queue_is_said_to_be_full_while_it_holds_publishers_back(tmp_path: Path):
    async with (
        asyncio.timeout(PATIENCE_S),
        embedded(tmp_path, parties=[WEB], queues=QUEUE, limits=Limits(rows=20)) as running,
        running.bus("web", "web", persistent=False, timeout_s=1.0) as web,
    ):
        with pytest.raises(TransientError):
            await web.publish([("plant/1", b"x")] * 30)
        assert running.broker.fills()[0].share == 1.0


async def test_a_device_hears_nothing_of_the_brokers_own_and_may_not_say_it(tmp_path: Path):
    async with (
        asyncio.timeout(PATIENCE_S),
        embedded(tmp_path, parties=[WEB], devices=[PUMP], queues=QUEUE) as running,
        running.bus("web", "web", persistent=False) as web,
        running.bus("pump", PUMP, persistent=False) as pump,
    ):
        await web.subscribe(QUEUES)
        await pump.subscribe(QUEUES, f"ronda/v1/{PUMP}/stored")
        running.broker.fills()
        running.broker._exchange.publish(PUMP, QUEUES, b"forged", qos=1, retain=False)
        async with running.bus("store") as store:
            await store.publish([(f"ronda/v1/{PUMP}/stored", b"mark")])
        assert [message.payload for message in await pump.receive()] == [b"mark"]
        assert b"forged" not in [message.payload for message in await web.receive()]


@pytest.mark.mosquitto
async def test_mosquitto_says_how_many_messages_it_holds(tmp_path: Path):
    async with (
        asyncio.timeout(PATIENCE_S),
        mosquitto(tmp_path, parties=[WEB]) as running,
        running.bus("web", "web", persistent=False) as web,
    ):
        await web.subscribe(STORED)
        message: Message = (await web.receive())[0]
        [fill] = heard(message.topic, message.payload, max_queued=1000)
        assert (fill.name, fill.bound, fill.used >= 0) == ("Mosquitto", 1000, True)
