"""The live stream over a real server: who may listen, what is told, and that nobody misses or doubles an event."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import time
from collections.abc import AsyncIterator
from typing import Any

import msgspec
import pytest
import uvicorn
from fastapi import FastAPI
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.typing import Subprotocol

from broker.memory import MemoryBroker
from cloud.api.catching_up import CatchingUp
from cloud.api.ports import Parts
from cloud.api.ring import Outlet, Positions, Told
from cloud.api.stream import Hub
from cloud.storage.anomalies import AnomalyStore
from cloud.storage.notifications import NotificationStore
from contract.codec import encode_events
from contract.events import AgentState, AgentStatus, Event, HopEvent, Phase
from contract.topics import AgentTopic
from tests.api.conftest import now_ms, token, until
from tests.api.test_history import receipt
from tests.support.anomalies import anomaly
from tests.support.readings import block


@pytest.fixture
async def address(app: FastAPI) -> AsyncIterator[str]:
    """Where a real server serves the API."""
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=2)
    server = uvicorn.Server(config)
    server.capture_signals = contextlib.nullcontext
    serving = asyncio.create_task(server.serve([listening]))
    await until(lambda: server.started)
    host, port = listening.getsockname()
    yield f"{host}:{port}"
    server.should_exit = True
    await asyncio.wait_for(serving, 5)


def open_stream(address: str, query: str = "", *, shown: str | None = None, **options: Any) -> connect:
    headers = options.pop("additional_headers", None) or {"Authorization": f"Bearer {shown or token('data:read')}"}
    return connect(f"ws://{address}/api/v1/stream{query}", additional_headers=headers, **options)


async def told(listener: ClientConnection, kind: str | None = None) -> dict[str, Any]:
    """The next message, or the next of this type."""
    while True:
        message = json.loads(await asyncio.wait_for(listener.recv(), 5))
        if kind is None or message["type"] == kind:
            return dict(message)


async def tell(broker: MemoryBroker, *events: Event) -> None:
    async with broker.bus("teller", persistent=False) as bus:
        await bus.publish(encode_events(events))


def hop(number: int) -> HopEvent:
    return HopEvent(
        site="plant-1", device="pump-07", correlation_id="c", station="validation", at_ms=1000.0 + number, readings=60,
        did="validated",
    )  # fmt: skip


async def test_what_happens_is_told_as_it_happens(address: str, broker: MemoryBroker):
    raised = anomaly()
    async with open_stream(address) as listener:
        assert (await told(listener))["type"] == "hello"
        await tell(broker, raised, receipt(raised), hop(1))
        messages = {message["type"]: message for message in [await told(listener) for _ in range(3)]}
    assert messages["anomaly"]["data"]["sensors"][0]["name"] == "vibration_de_rms_g"
    assert messages["notification"]["data"]["receipt"] == "250 2.0.0 Ok"
    assert messages["hop"]["data"]["station"] == "validation"
    assert messages["anomaly"]["id"] == raised.id


async def test_a_repeat_is_told_once(address: str, broker: MemoryBroker):
    async with open_stream(address) as listener:
        await tell(broker, hop(1), hop(1), hop(2))
        assert [(await told(listener, "hop"))["data"]["at_ms"] for _ in range(2)] == [1001.0, 1002.0]


async def test_a_later_phase_keeps_the_time_of_raising(address: str, broker: MemoryBroker):
    raised = anomaly()
    cleared = msgspec.structs.replace(raised, phase=Phase.CLEARED, seq=1, measured_at_ms=raised.measured_at_ms + 60_000)
    async with open_stream(address) as listener:
        await tell(broker, raised, cleared)
        await told(listener, "anomaly")
        last = (await told(listener, "anomaly"))["data"]
    assert (last["active"], last["raised_at_ms"]) == (False, raised.measured_at_ms)
    assert last["cleared_at_ms"] == raised.measured_at_ms + 60_000


async def test_who_comes_back_gets_what_was_told_meanwhile_and_nothing_twice(address: str, broker: MemoryBroker):
    async with open_stream(address) as listener:
        await tell(broker, hop(1))
        since = (await told(listener, "hop"))["position"]
    await tell(broker, hop(2), hop(3))
    async with open_stream(address, f"?since={since}") as listener:
        assert (await told(listener))["data"]["whole"] is True
        await tell(broker, hop(4))
        assert [(await told(listener, "hop"))["data"]["at_ms"] for _ in range(3)] == [1002.0, 1003.0, 1004.0]


async def test_after_a_restart_of_the_api_the_store_tells_what_was_missed(address: str, parts: Parts):
    assert isinstance(parts.anomalies, AnomalyStore)
    assert isinstance(parts.notifications, NotificationStore)
    before = int(now_ms()) - 60_000
    missed = anomaly(detected_at_ms=before + 10_000)
    older = anomaly(anomaly_id="older", seq=1, detected_at_ms=before - 10_000)
    await parts.anomalies.apply([older, missed], [], now_ms=0)
    await parts.notifications.record(receipt(missed, sent_at_ms=before + 11_000), missed, now_ms=0)
    async with open_stream(address, f"?since={before * 1000}") as listener:
        hello = await told(listener)
        assert hello["data"]["whole"] is False
        first, second = await told(listener), await told(listener)
    assert (first["type"], first["data"]["id"]) == ("anomaly", missed.anomaly_id)
    assert second["type"] == "notification"
    assert before * 1000 < first["position"] < second["position"] < hello["position"]


async def test_what_the_bus_did_not_tell_is_read_from_the_store_once(app: FastAPI, address: str, parts: Parts):
    assert isinstance(parts.anomalies, AnomalyStore)
    hub: Hub = app.state.services.hub
    catching_up = CatchingUp(parts.lookups, hub, now_ms)
    unheard = anomaly(detected_at_ms=int(now_ms()) + 1000)
    await parts.anomalies.apply([unheard], [], now_ms=0)
    async with open_stream(address) as listener:
        await told(listener)
        await catching_up.look()
        assert (await told(listener, "anomaly"))["id"] == unheard.id
        position = hub.position
        await catching_up.look()
        assert hub.position == position


async def test_readings_are_told_four_times_a_second_and_device_at_most(
    app: FastAPI, address: str, broker: MemoryBroker
):
    async with open_stream(address) as listener:
        await told(listener)
        hub: Hub = app.state.services.hub
        clock = [now_ms()]
        hub._clock_ms = lambda: clock[0]
        for seq in range(10):
            await tell(broker, block([seq]), block([seq], device="pump-08"))
            await asyncio.sleep(0.01)
            clock[0] += 100
        await tell(broker, hop(1))
        seen = []
        while (message := await told(listener))["type"] != "hop":
            seen.append((message["data"]["device"], message["data"]["seq"]))
    assert [seq for device, seq in seen if device == "pump-07"] == [0, 3, 6, 9]
    assert len(seen) == 8


async def test_backfill_is_not_live(address: str, broker: MemoryBroker):
    async with open_stream(address) as listener:
        await told(listener)
        await tell(broker, block([1], replayed=True))
        await tell(broker, hop(1))
        assert (await told(listener))["type"] == "hop"


async def test_an_agent_that_comes_or_goes_is_told_and_its_heartbeats_are_not(address: str, broker: MemoryBroker):
    status = AgentStatus(agent="validation", instance="0-63", state=AgentState.ONLINE, since_ms=1)
    gone = msgspec.structs.replace(status, state=AgentState.OFFLINE)
    topic = str(AgentTopic("validation", "0-63"))
    async with open_stream(address) as listener, broker.bus("teller") as bus:
        await told(listener)
        for said in (status, status, gone, status):
            await bus.publish([(topic, msgspec.json.encode(said))], retain=True)
        states = [(await told(listener, "agent"))["data"]["state"] for _ in range(3)]
    assert states == ["online", "offline", "online"]
    async with open_stream(address) as listener:
        assert [each["agent"] for each in (await told(listener))["data"]["agents"]] == ["validation"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Cookie": "a=b"},
        {"Authorization": "Bearer nonsense"},
        {"Cookie": "ronda_session=nonsense"},
    ],
)
async def test_strangers_are_turned_away_before_the_handshake(address: str, headers: dict[str, str]):
    with pytest.raises(InvalidStatus) as refused:
        async with open_stream(address, additional_headers=headers):
            pass
    assert refused.value.response.status_code == 403


async def test_a_cookie_works_from_our_own_page_only(address: str):
    cookie = {"Cookie": f"ronda_session={token('data:read')}"}
    async with open_stream(address, additional_headers=cookie, origin=f"http://{address}") as listener:
        assert (await told(listener))["type"] == "hello"
    for origin in ("https://evil.example", None):
        with pytest.raises(InvalidStatus):
            async with open_stream(address, additional_headers=cookie, origin=origin):
                pass


async def test_a_browser_elsewhere_shows_its_token_as_a_protocol_and_never_in_the_address(address: str):
    offered = [Subprotocol("ronda.v1"), Subprotocol(f"bearer.{token('data:read')}")]
    async with connect(f"ws://{address}/api/v1/stream", subprotocols=offered) as listener:
        assert listener.subprotocol == "ronda.v1"
        assert (await told(listener))["type"] == "hello"
    with pytest.raises(InvalidStatus):
        async with connect(f"ws://{address}/api/v1/stream?token={token('data:read')}"):
            pass


async def test_a_sender_may_not_listen(address: str):
    with pytest.raises((InvalidStatus, ConnectionClosed)):
        async with open_stream(address, shown=token("ingest:write")) as listener:
            await listener.recv()


async def test_the_stream_ends_with_the_token(app: FastAPI, address: str):
    from cloud.api.auth import Tokens
    from tests.api.conftest import SECRET

    short = Tokens(SECRET, time.time).mint("ana", ["data:read"], lifetime_s=2)
    async with open_stream(address, shown=short) as listener:
        await told(listener)
        with pytest.raises(ConnectionClosed) as closed:
            await asyncio.wait_for(listener.recv(), 5)
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 4401
    await until(lambda: app.state.services.hub.listeners == 0)


async def test_who_leaves_is_forgotten(app: FastAPI, address: str):
    async with open_stream(address) as listener:
        await told(listener)
        assert app.state.services.hub.listeners == 1
    await until(lambda: app.state.services.hub.listeners == 0)


async def test_the_server_stops_although_somebody_listens(app: FastAPI, address: str):
    listener = await open_stream(address)
    await told(listener)
    # The fixture's end asserts that the server stops within five seconds.


async def test_a_slow_listener_loses_the_oldest_and_is_told_how_many():
    outlet = Outlet(size=3)
    whole = [outlet.put(Told(position, "")) for position in range(5)]
    taken, dropped = await outlet.take()
    assert (whole, [told.position for told in taken], dropped) == ([True, True, True, False, False], [2, 3, 4], 2)
    outlet.put(Told(9, ""))
    assert await outlet.take() == ([Told(9, "")], 0)


def test_positions_rise_also_over_a_restart_and_when_the_clock_stands_still():
    clock = [1000.0]
    first = Positions(lambda: clock[0])
    before = [first.next() for _ in range(3)]
    assert before == [1_000_001, 1_000_002, 1_000_003]
    clock[0] = 1000.5
    again = Positions(lambda: clock[0])
    assert again.next() > before[-1]
