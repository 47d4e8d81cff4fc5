"""The bridge carries what devices of its site may say, and nothing else."""

from __future__ import annotations

import asyncio
import contextlib
import traceback
from collections.abc import AsyncIterator

import pytest

from broker.bus import Bus, Message, RefusedError
from broker.memory import MemoryBroker
from contract.telemetry import MAX_PAYLOAD_BYTES
from edge.bridge import Bridge, BridgeError, Route, check_prefix

SECRET = "0123456789abcdef"
ROUTE = Route(SECRET, "wokwi")
READING = b'{"values": {"vibration_rms_g": 0.2}}'


class Sides:
    """A device on the other broker, a listener on ours, and the bridge between them."""

    def __init__(self, device: Bus, ours: Bus) -> None:
        self.device, self.ours = device, ours
        self.counts: list[tuple[int, int]] = []


@pytest.fixture
async def sides() -> AsyncIterator[Sides]:
    outer, inner = MemoryBroker(), MemoryBroker()
    async with (
        outer.bus("bridge") as theirs,
        inner.bus("bridge") as mine,
        outer.bus("device") as device,
        inner.bus("cloud") as ours,
    ):
        both = Sides(device, ours)
        await device.subscribe("#")
        await ours.subscribe("#")
        running = asyncio.create_task(Bridge(theirs, mine, ROUTE, lambda *counts: both.counts.append(counts)).run())
        # Subscribing to an in-memory broker takes no time, only turns.
        for _ in range(20):
            await asyncio.sleep(0)
        try:
            yield both
        finally:
            running.cancel()
            with contextlib.suppress(asyncio.CancelledError, BaseExceptionGroup):
                await running


async def first(bus: Bus, topic: str) -> bytes:
    """The first message on `topic`."""
    async with asyncio.timeout(5):
        while True:
            for message in await bus.receive():
                if message.topic == topic:
                    return message.payload


async def test_a_reading_comes_in_without_the_prefix(sides: Sides) -> None:
    await sides.device.publish([(f"{SECRET}/ronda/v1/wokwi/esp32/telemetry", READING)])
    assert await first(sides.ours, "ronda/v1/wokwi/esp32/telemetry") == READING


async def test_the_watermark_goes_back_with_the_prefix(sides: Sides) -> None:
    await sides.ours.publish([("ronda/v1/wokwi/esp32/stored", b'{"boot": "b", "through": 7}')])
    assert b'"through": 7' in await first(sides.device, f"{SECRET}/ronda/v1/wokwi/esp32/stored")


@pytest.mark.parametrize(
    "topic",
    [
        f"{SECRET}/ronda/v1/plant-1/pump-01/telemetry",
        f"{SECRET}/ronda/v1/wokwi/esp32/command",
        f"{SECRET}/ronda/v1/wokwi/esp32/stored",
        f"{SECRET}/ronda-chain/v1/validated/3",
        "ronda/v1/wokwi/esp32/telemetry",
    ],
)
def test_nothing_else_comes_in(topic: str) -> None:
    assert ROUTE.inward(arrived(topic)) is None


async def test_the_prefix_stands_in_no_log(sides: Sides, caplog: pytest.LogCaptureFixture) -> None:
    taken, refused = (f"{SECRET}/ronda/v1/wokwi/{device}/telemetry" for device in ("esp32", "esp 32"))
    await sides.device.publish([(taken, READING), (refused, READING)])
    await first(sides.ours, "ronda/v1/wokwi/esp32/telemetry")
    [record] = [each for each in caplog.records if each.message == "bridge.refused"]
    assert (vars(record)["messages"], vars(record)["first"]) == (1, "ronda/v1/wokwi/esp 32/telemetry")


async def test_a_refusal_over_there_does_not_tell_the_prefix(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*filters: str) -> None:
        raise RefusedError(f"the broker refuses the subscription to {', '.join(filters)}")

    async with MemoryBroker().bus("bridge") as theirs, MemoryBroker().bus("bridge") as mine:
        monkeypatch.setattr(theirs, "subscribe", refuse)
        with pytest.raises(BridgeError, match="refuses") as refused:
            await Bridge(theirs, mine, ROUTE, lambda *_: None).run()
    assert SECRET not in "".join(traceback.format_exception(refused.value))


def test_what_no_device_would_send_stays_outside() -> None:
    topic = f"{SECRET}/ronda/v1/wokwi/esp32/telemetry"
    assert ROUTE.inward(arrived(topic, b"x" * (MAX_PAYLOAD_BYTES + 1))) is None


def test_a_status_is_kept_for_those_who_come_later() -> None:
    carried = ROUTE.inward(arrived(f"{SECRET}/ronda/v1/wokwi/esp32/status"))
    assert carried is not None
    assert carried.retain


def arrived(topic: str, payload: bytes = READING) -> Message:
    """A message as the other broker hands it over."""
    return Message(topic=topic, payload=payload, retain=False, token=None)


@pytest.mark.parametrize(
    "prefix", ["", "short", "with+plus-0123456789", "with#hash-0123456789", "/0123456789abcdef/", "ü" * 20]
)
def test_a_prefix_that_is_none_or_could_be_guessed_is_refused(prefix: str) -> None:
    with pytest.raises(BridgeError):
        check_prefix(prefix)


def test_a_long_prefix_is_taken() -> None:
    assert check_prefix(SECRET) == SECRET
