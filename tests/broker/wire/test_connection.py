"""The client against a broker that misbehaves: silent, broken, refusing, slow; each line of it is written here."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from broker.bus import Message, RefusedError
from broker.embedded.packets import publish, read_publish
from broker.wire import WireBus
from broker.wire.session import WINDOW
from contract.errors import TransientError
from tests.support.scripted_broker import DISCONNECT, PATIENCE_S, PINGREQ, PUBACK, SUBSCRIBE, Line, ScriptedBroker

TOPIC = "plant/1"


@pytest.fixture
async def broker() -> AsyncIterator[ScriptedBroker]:
    async with ScriptedBroker() as scripted:
        yield scripted


async def opened(broker: ScriptedBroker, **options: object) -> tuple[WireBus, Line]:
    """A bus, and the broker's end of its connection."""
    bus = WireBus(broker.address, "agent", timeout_s=float(options.pop("timeout_s", PATIENCE_S)), **options)  # type: ignore[arg-type]
    _, line = await asyncio.gather(bus.__aenter__(), broker.line())
    return bus, line


async def closed(bus: WireBus) -> None:
    async with asyncio.timeout(PATIENCE_S):
        await bus.__aexit__(None, None, None)


def message(payload: bytes, packet_id: int, topic: str = TOPIC) -> bytes:
    return publish(topic, payload, qos=1, retain=False, packet_id=packet_id)


async def received(bus: WireBus, count: int) -> list[Message]:
    found: list[Message] = []
    async with asyncio.timeout(PATIENCE_S):
        while len(found) < count:
            found += await bus.receive()
    return found


async def test_what_is_broken_ends_the_connection_with_the_reason_and_it_is_made_anew(
    broker: ScriptedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    bus, line = await opened(broker)
    for broken in (b"\x30\xff\xff\xff\xff\xff", b"\x00\x00", b"\x20\x02\x00\x00", b"\xff" * 100_000):
        line.send(broken)
        await line.hung_up()
        line = await broker.line()
        # The new connection starts with an empty decoder.
        line.send(message(b"sound", 1))
        assert [each.payload for each in await received(bus, 1)] == [b"sound"]
    told = [record.reason for record in caplog.records if record.getMessage() == "bus.disconnected"]
    assert len(told) == 4
    assert all(reason.startswith("it broke the protocol: ") for reason in told)
    await closed(bus)


async def test_a_broker_that_breaks_every_connection_is_asked_ever_more_slowly(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    pauses: list[float] = []
    sleep = asyncio.sleep

    async def brief(seconds: float) -> None:
        pauses.append(seconds)
        await sleep(0)

    bus, line = await opened(broker)
    monkeypatch.setattr("broker.kept_up.asyncio.sleep", brief)
    for _ in range(7):
        while not bus.connected:
            await sleep(0)
        line.send(b"\x00\x00")
        await line.hung_up()
        line = await broker.line()
    monkeypatch.undo()
    assert [pause for pause in pauses if pause] == [0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0]
    await closed(bus)


async def test_something_that_is_no_broker_is_one_clear_line(broker: ScriptedBroker) -> None:
    bus = WireBus(broker.address, "agent", timeout_s=0.5)

    async def web_server() -> None:
        line = await broker.line(session_present=None)
        line.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with pytest.raises(TransientError, match=r"no MQTT broker answers .*something other than CONNACK came first"):
        await asyncio.gather(bus.__aenter__(), web_server())


@pytest.mark.parametrize(
    ("code", "words"), [(1, "MQTT 3.1.1"), (2, "client id"), (4, "bad user name"), (5, "not authorised"), (9, "9")]
)
async def test_a_refusal_is_told_in_words(broker: ScriptedBroker, code: int, words: str) -> None:
    async def refuse() -> None:
        (await broker.line(session_present=None)).welcome(code=code)

    with pytest.raises(RefusedError, match=f"refuses agent: .*{words}"):
        await asyncio.gather(WireBus(broker.address, "agent").__aenter__(), refuse())


async def test_a_broker_that_is_not_available_yet_is_asked_again(broker: ScriptedBroker) -> None:
    async def first_not_then_yes() -> None:
        (await broker.line(session_present=None)).welcome(code=3)
        await broker.line()

    bus = WireBus(broker.address, "agent", timeout_s=PATIENCE_S)
    await asyncio.gather(bus.__aenter__(), first_not_then_yes())
    await closed(bus)


async def test_a_silent_broker_is_asked_and_given_up(broker: ScriptedBroker, caplog: pytest.LogCaptureFixture) -> None:
    bus, line = await opened(broker, keepalive_s=1)
    await line.next(PINGREQ)
    await line.hung_up()
    await broker.line()
    assert any(getattr(record, "reason", "").startswith("it was silent for") for record in caplog.records)
    await closed(bus)


async def test_a_broker_that_answers_is_kept(broker: ScriptedBroker) -> None:
    bus, line = await opened(broker, keepalive_s=1)
    for _ in range(5):
        await line.next(PINGREQ)
        line.send(b"\xd0\x00")
    assert bus.connected
    await closed(bus)


async def test_a_consumer_that_rests_longer_than_the_keep_alive_is_not_taken_for_a_silent_broker(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.inbox.MAX_UNREAD", 1)
    bus, line = await opened(broker, keepalive_s=1)
    line.send(message(b"x", 1))
    # The broker still hears of us, though we do not read its answers.
    for _ in range(6):
        await line.next(PINGREQ)
    assert bus.connected
    await bus.acknowledge(await received(bus, 1))
    await line.next(PUBACK)
    await closed(bus)


async def test_a_pipelined_group_is_sent_again_with_dup_to_a_broker_that_knows_us(broker: ScriptedBroker) -> None:
    bus, line = await opened(broker)
    task = asyncio.create_task(bus.publish([(TOPIC, b"a"), (TOPIC, b"b"), (TOPIC, b"c")]))
    (_, _, first), (second_id, *_), _ = await line.publishes(3)
    assert not first
    line.confirm(second_id)
    await asyncio.sleep(0.05)
    line.break_off()
    line = await broker.line(session_present=True)
    again = await line.publishes(2)
    assert [(payload, dup) for _, payload, dup in again] == [(b"a", True), (b"c", True)]
    line.confirm(*[packet_id for packet_id, *_ in again])
    async with asyncio.timeout(PATIENCE_S):
        await task
    await closed(bus)


async def test_a_lost_session_is_subscribed_to_again_and_published_to_anew(broker: ScriptedBroker) -> None:
    bus, line = await opened(broker)
    _, filters = await asyncio.gather(bus.subscribe("plant/#", "other/+"), line.grant())
    assert filters == ["plant/#", "other/+"]
    task = asyncio.create_task(bus.publish([(TOPIC, b"a")]))
    await line.publishes(1)
    line.break_off()
    line = await broker.line(session_present=False)
    assert await line.grant() == ["plant/#", "other/+"]
    [(packet_id, payload, dup)] = await line.publishes(1)
    assert (payload, dup) == (b"a", False)
    line.confirm(packet_id)
    async with asyncio.timeout(PATIENCE_S):
        await task
    await closed(bus)


async def test_acknowledgements_go_out_in_one_piece_and_stale_ones_not_at_all(broker: ScriptedBroker) -> None:
    bus, line = await opened(broker)
    line.send(b"".join(message(b"old", packet_id) for packet_id in (1, 2, 3)))
    stale = await received(bus, 3)
    line.break_off()
    line = await broker.line(session_present=True)
    line.send(b"".join(message(b"new", packet_id) for packet_id in (3, 2, 1)))
    fresh = await received(bus, 3)
    await bus.acknowledge([*stale, fresh[0], *stale, fresh[2]])
    assert [(await line.next(PUBACK))[1] for _ in range(2)] == [b"\x00\x03", b"\x00\x01"]
    await closed(bus)
    await line.next(DISCONNECT)


async def test_a_refused_subscription_is_told_and_not_asked_for_again(broker: ScriptedBroker) -> None:
    bus, line = await opened(broker)
    with pytest.raises(RefusedError, match="refuses the subscription to secret/#"):
        await asyncio.gather(bus.subscribe("secret/#"), line.grant(0x80))
    await asyncio.gather(bus.subscribe("plant/#"), line.grant())
    line.break_off()
    line = await broker.line()
    assert await line.grant() == ["plant/#"]
    await closed(bus)


@pytest.mark.parametrize("codes", [b"\x01", b"\x01\x01\x01"])
async def test_an_answer_that_does_not_fit_its_subscription_is_not_taken_for_a_yes(
    broker: ScriptedBroker, codes: bytes, caplog: pytest.LogCaptureFixture
) -> None:
    bus, line = await opened(broker)

    async def misfit() -> None:
        _, body = await line.next(SUBSCRIBE)
        line.send(bytes([0x90, 2 + len(codes)]) + body[:2] + codes)

    with pytest.raises(TransientError, match="does not fit"):
        await asyncio.gather(bus.subscribe("plant/#", "other/+"), misfit())
    # Remembered all the same: the next connection asks again.
    assert await (await broker.line()).grant() == ["plant/#", "other/+"]
    assert f"it broke the protocol: {len(codes)} answers to 2 filters" in [
        getattr(record, "reason", "") for record in caplog.records
    ]
    await closed(bus)


async def test_what_stands_behind_the_word_that_ended_a_connection_harms_nobody(
    broker: ScriptedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    bus, line = await opened(broker)
    publishing = asyncio.create_task(bus.publish([(TOPIC, b"%d" % number) for number in range(WINDOW + 100)]))
    subscribing = asyncio.create_task(bus.subscribe("plant/#", "other/+"))
    published = await line.publishes(WINDOW)
    _, body = await line.next(SUBSCRIBE)
    # In one read: what ends it, and an acknowledgement that makes room for more.
    line.send(b"\x90\x03" + body[:2] + b"\x01" + b"\x40\x02" + published[0][0].to_bytes(2, "big"))
    with pytest.raises(TransientError, match="does not fit"):
        await subscribing
    line = await broker.line(session_present=True)
    assert len(await line.grant()) == 2
    for _ in range(WINDOW + 99):
        ((packet_id, *_),) = await line.publishes(1)
        line.confirm(packet_id)
    async with asyncio.timeout(PATIENCE_S):
        await publishing
    assert [record for record in caplog.records if record.name == "asyncio" and record.levelname == "ERROR"] == []
    await closed(bus)


async def test_an_answer_to_what_nobody_asked_changes_nothing(broker: ScriptedBroker) -> None:
    bus, line = await opened(broker)
    line.send(b"\x90\x03\x12\x34\x80")
    line.confirm(1, 65_535)
    line.send(message(b"sound", 1))
    assert [each.payload for each in await received(bus, 1)] == [b"sound"]
    assert bus.connected
    await closed(bus)


async def test_acknowledgements_wait_for_a_broker_that_does_not_read_and_are_not_lost(broker: ScriptedBroker) -> None:
    bus, line = await opened(broker)
    line.send(message(b"x", 9))
    (taken,) = await received(bus, 1)
    publishing = asyncio.create_task(bus.publish([(TOPIC, bytes(1_000_000))] * 10))
    await asyncio.sleep(0.3)
    acknowledging = asyncio.create_task(bus.acknowledge([taken]))
    await asyncio.sleep(0.2)
    assert not acknowledging.done()
    kinds = []
    while len(kinds) < 11:
        first, body = await line.any()
        kinds.append(first & 0xF0)
        if first & 0xF0 == PUBACK:
            assert body == b"\x00\x09"
        else:
            line.confirm(read_publish(first, body).packet_id)
    assert kinds.count(PUBACK) == 1
    async with asyncio.timeout(PATIENCE_S):
        await asyncio.gather(publishing, acknowledging)
    await closed(bus)


async def test_a_right_that_was_taken_away_ends_the_connection_with_the_reason(
    broker: ScriptedBroker, caplog: pytest.LogCaptureFixture
) -> None:
    bus, line = await opened(broker)
    await asyncio.gather(bus.subscribe("plant/#"), line.grant())
    line.break_off()
    line = await broker.line()
    await line.grant(0x80)
    await line.hung_up()
    await (await broker.line()).grant()
    assert "the broker refuses the subscription to plant/#" in [getattr(r, "reason", "") for r in caplog.records]
    await closed(bus)


async def test_a_subscription_whose_answer_is_behind_unread_messages_does_not_wait_for_it(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.inbox.MAX_UNREAD", 10)
    bus, line = await opened(broker)
    line.send(b"".join(message(b"%d" % number, number + 1) for number in range(10)))
    async with asyncio.timeout(PATIENCE_S):
        await bus.subscribe("plant/#")
    assert await line.grant() == ["plant/#"]
    assert [each.payload for each in await received(bus, 10)] == [b"%d" % number for number in range(10)]
    await closed(bus)


async def test_an_unanswered_subscription_is_told_in_time(broker: ScriptedBroker) -> None:
    bus, _ = await opened(broker, timeout_s=0.3)
    with pytest.raises(TransientError, match="did not answer a subscription"):
        await bus.subscribe("plant/#")
    await closed(bus)


async def test_a_subscription_while_the_broker_is_away_is_told_in_time(broker: ScriptedBroker) -> None:
    bus, line = await opened(broker, timeout_s=0.3)
    line.break_off()
    with pytest.raises(TransientError, match="did not answer a subscription"):
        await bus.subscribe("plant/#")
    await closed(bus)


async def test_a_slow_broker_that_goes_on_acknowledging_is_waited_for(broker: ScriptedBroker) -> None:
    bus, line = await opened(broker, timeout_s=0.5)
    task = asyncio.create_task(bus.publish([(TOPIC, b"%d" % number) for number in range(5)]))
    for packet_id, *_ in await line.publishes(5):
        await asyncio.sleep(0.3)
        line.confirm(packet_id)
    async with asyncio.timeout(PATIENCE_S):
        await task
    second = asyncio.create_task(bus.publish([(TOPIC, b"x")]))
    await line.publishes(1)
    with pytest.raises(TransientError, match="did not acknowledge in time"):
        await second
    await closed(bus)


async def test_a_broker_that_does_not_read_holds_the_publisher_back_and_memory_stays_bounded(
    broker: ScriptedBroker,
) -> None:
    bus, line = await opened(broker)
    payload = bytes(100_000)
    task = asyncio.create_task(bus.publish([(TOPIC, payload)] * 500))
    await asyncio.sleep(0.5)
    assert bus._connection is not None
    # A megabyte of buffer, and what the portion that filled it had beyond it.
    assert 0 < bus._connection._transport.get_write_buffer_size() < 2_000_000
    for _ in range(500):
        ((packet_id, *_),) = await line.publishes(1)
        line.confirm(packet_id)
    async with asyncio.timeout(PATIENCE_S):
        await task
    await closed(bus)


async def test_a_consumer_that_does_not_take_holds_the_broker_back_and_memory_stays_bounded(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.inbox.MAX_UNREAD_BYTES", 1_000_000)
    bus, line = await opened(broker)
    for number in range(300):
        line.send(message(bytes(100_000), number + 1))
    await asyncio.sleep(0.5)
    assert 10 <= len(bus._inbox) <= 14
    assert len(await received(bus, 300)) == 300
    await closed(bus)


async def test_closing_tells_who_still_publishes(broker: ScriptedBroker) -> None:
    bus, line = await opened(broker)
    task = asyncio.create_task(bus.publish([(TOPIC, b"a")]))
    await line.publishes(1)
    await closed(bus)
    with pytest.raises(TransientError, match="was closed before all was acknowledged"):
        await task


async def test_closing_does_not_wait_for_a_broker_that_does_not_read(broker: ScriptedBroker) -> None:
    bus, _ = await opened(broker)
    task = asyncio.create_task(bus.publish([(TOPIC, bytes(1_000_000))] * 20))
    await asyncio.sleep(0.1)
    began = time.monotonic()
    await closed(bus)
    assert time.monotonic() - began < 5.0
    with pytest.raises(TransientError):
        await task


async def test_who_gives_up_publishing_leaves_nothing_behind_that_was_not_sent(broker: ScriptedBroker) -> None:
    bus, line = await opened(broker)
    line.break_off()
    while bus.connected:
        await asyncio.sleep(0.01)
    task = asyncio.create_task(bus.publish([(TOPIC, b"given up")]))
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    line = await broker.line()
    task = asyncio.create_task(bus.publish([(TOPIC, b"meant")]))
    ((packet_id, payload, _),) = await line.publishes(1)
    assert payload == b"meant"
    line.confirm(packet_id)
    await task
    await closed(bus)


async def test_a_welcome_that_never_comes_is_one_clear_line(
    broker: ScriptedBroker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("broker.wire.bus._CONNECT_TIMEOUT_S", 0.2)
    monkeypatch.setattr("broker.tls._PROBE_TIMEOUT_S", 0.2)
    with pytest.raises(TransientError, match=r"no MQTT broker answers at mqtt://127.0.0.1:\d+; is it running\?"):
        await WireBus(broker.address, "agent", timeout_s=1.0).__aenter__()
