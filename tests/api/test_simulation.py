"""Which demo machine falls ill next, and the golden path from the button to the first two hops."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import msgspec
import pytest

from broker.memory import MemoryBroker
from cloud.api.demonstration import Demonstration
from cloud.api.ports import Parts
from cloud.api.simulation import DemoMachine, Fault, WhyNone, choose, is_rested, to_prepare, wait_for_one
from cloud.storage.anomalies import AnomalyStore
from cloud.storage.devices import DeviceStore
from cloud.storage.promotions import Promotion, PromotionStore
from contract.codec import decode_events
from contract.events import HopEvent, Phase
from contract.topics import Channel, DeviceTopic, Stage
from edge.commands import decode as decode_command
from edge.faults import FaultKind
from tests.api.conftest import bearer, now_ms, until
from tests.support.anomalies import anomaly

SIMULATE = "/api/v1/simulate/anomaly-event"
MINUTE = 60_000
COOLDOWN = 10 * MINUTE
NOW = 1_763_800_000_000


def demo(number: int, **changes: Any) -> DemoMachine:
    machine = DemoMachine(site="plant-1", device=f"demo-{number}", judged=True, ill=False)
    return msgspec.structs.replace(machine, **changes)


def names(machines: list[DemoMachine]) -> list[str]:
    return [machine.device for machine in machines]


def test_who_was_never_used_goes_first_and_two_comes_before_ten():
    machines = [demo(10), demo(2), demo(1, used_at_ms=NOW - COOLDOWN)]
    assert choose(machines, NOW, COOLDOWN) == machines[1]


def test_among_the_used_who_rested_longest_goes_first():
    machines = [demo(1, used_at_ms=NOW - COOLDOWN), demo(2, used_at_ms=NOW - 2 * COOLDOWN)]
    assert choose(machines, NOW, COOLDOWN) == machines[1]


@pytest.mark.parametrize(
    ("machine", "rested"),
    [
        (demo(1), True),
        (demo(1, judged=False), False),
        (demo(1, ill=True), False),
        (demo(1, used_at_ms=NOW - COOLDOWN + 1), False),
        (demo(1, used_at_ms=NOW - COOLDOWN), True),
        (demo(1, ill=True, used_at_ms=NOW - 9 * COOLDOWN), False),
        (demo(1, shown_at_ms=NOW - 30_000), False),
        (demo(1, shown_at_ms=NOW - 62_000), True),
        (demo(1, shown_at_ms=NOW - 62_000, used_at_ms=NOW - 9 * MINUTE), False),
    ],
)
def test_a_machine_is_rested_when_its_fault_would_be_noticed_and_mailed(machine: DemoMachine, rested: bool):
    assert is_rested(machine, NOW, COOLDOWN) is rested


def test_three_are_kept_ready_and_those_under_way_count():
    silent = [demo(number, judged=False) for number in range(1, 6)]
    assert names(to_prepare(silent, NOW, COOLDOWN)) == ["demo-1", "demo-2", "demo-3"]
    mixed = [demo(1), demo(2, judged=False, asked_at_ms=NOW - MINUTE), *silent[2:]]
    assert names(to_prepare(mixed, NOW, COOLDOWN)) == ["demo-3"]
    assert to_prepare([demo(1), demo(2), demo(3), *silent[3:]], NOW, COOLDOWN) == []


def test_who_was_asked_and_never_answered_is_asked_again():
    machines = [demo(1, judged=False, asked_at_ms=NOW - 3 * MINUTE)]
    assert to_prepare(machines, NOW, COOLDOWN) == machines


def test_when_nobody_is_silent_any_more_the_worn_get_healthy_again_after_their_rest():
    machines = [
        demo(1, ill=True, used_at_ms=NOW - MINUTE),
        demo(2, ill=True, used_at_ms=NOW - COOLDOWN),
        demo(3, ill=True, used_at_ms=NOW - 2 * COOLDOWN),
        demo(4, used_at_ms=NOW - MINUTE),
    ]
    assert names(to_prepare(machines, NOW, COOLDOWN)) == ["demo-3", "demo-2"]


def test_who_must_wait_is_told_how_long_and_what_for():
    def told(*machines: DemoMachine) -> tuple[WhyNone, int]:
        wait = wait_for_one(machines, NOW, COOLDOWN)
        return wait.why, wait.seconds

    resting = [demo(1, used_at_ms=NOW - 9 * MINUTE), demo(2, used_at_ms=NOW)]
    assert told(*resting) == (WhyNone.ALL_RESTING, 60)
    assert told(*resting, demo(3, shown_at_ms=NOW - MINUTE, asked_at_ms=NOW - MINUTE - 1)) == (WhyNone.ALL_RESTING, 2)
    assert told(demo(1, ill=True, used_at_ms=NOW - 9 * MINUTE)) == (WhyNone.ALL_RESTING, 70), "it must get well then"
    assert told(*resting, demo(3, judged=False)) == (WhyNone.GETTING_READY, 10)
    assert told(*resting, demo(3, judged=False, asked_at_ms=NOW - MINUTE)) == (WhyNone.GETTING_READY, 10)
    assert told(*resting, demo(3, ill=True, used_at_ms=NOW - COOLDOWN)) == (WhyNone.GETTING_READY, 10)
    assert told() == (WhyNone.NO_MACHINES, 10)


@pytest.mark.parametrize("fault", Fault)
def test_every_fault_that_can_be_asked_for_is_one_that_the_machine_knows(fault: Fault):
    command = decode_command(msgspec.json.encode({"id": "order-1", "simulate": {"fault": fault}}))
    assert command.simulate is not None
    assert (command.simulate.kind or "none") == fault


def test_every_fault_of_the_machine_can_be_asked_for():
    assert {*FaultKind, "none"} == set(Fault)


async def rested_machines(parts: Parts, count: int) -> None:
    assert isinstance(parts.devices, DeviceStore)
    assert isinstance(parts.promotions, PromotionStore)
    for number in range(1, count + 1):
        device = f"demo-{number}"
        await parts.devices.ensure("plant-1", device, "demo", now_ms=0)
        await parts.promotions.promote(
            Promotion(
                site="plant-1", device=device, version="1", name=f"plant-1.{device}", run_id="r", sha256="0" * 64,
                data_hash="d", artifact_uri="file:///m", rows=1800, trained_from_ms=0, trained_through_ms=1,
                promoted_at_ms=2,
            )
        )  # fmt: skip


async def listener(broker: MemoryBroker, *filters: str) -> Any:
    bus = await broker.bus("machine").__aenter__()
    await bus.subscribe(*filters)
    return bus


async def test_a_click_commands_a_rested_machine_and_answers_with_the_id_to_follow(
    http: httpx.AsyncClient, parts: Parts, broker: MemoryBroker
):
    await rested_machines(parts, 3)
    machine = await listener(broker, DeviceTopic.filter(Channel.COMMAND))
    answer = await http.post(SIMULATE, headers=bearer("simulate:write"))
    body = answer.json()
    assert answer.status_code == 202
    assert (body["site"], body["device"], body["fault"]) == ("plant-1", "demo-1", "bearing_wear")
    assert answer.headers["location"] == f"/api/v1/trace/{body['correlation_id']}"
    [command] = await asyncio.wait_for(machine.receive(), 5)
    assert command.topic == "ronda/v1/plant-1/demo-1/command"
    assert msgspec.json.decode(command.payload) == {"id": body["correlation_id"], "simulate": {"fault": "bearing_wear"}}


async def test_two_clicks_use_two_machines_and_when_none_is_left_one_is_told_to_wait(
    http: httpx.AsyncClient, parts: Parts
):
    await rested_machines(parts, 2)
    used = []
    for fault in ("cavitation", "none"):
        answer = await http.post(SIMULATE, json={"fault": fault}, headers=bearer())
        assert answer.status_code == 202
        used.append(answer.json()["device"])
    assert sorted(used) == ["demo-1", "demo-2"]
    answer = await http.post(SIMULATE, headers=bearer())
    assert (answer.status_code, answer.json()["reason"]) == (503, "no_rested_machine")
    assert 1 <= int(answer.headers["retry-after"]) <= 62, "the one that stayed well rests for its minute only"
    assert answer.json()["detail"].startswith("all 2 demo machines rest after they were used")
    assert answer.json()["why"] == "all_resting"


async def test_clicks_at_the_same_moment_never_share_a_machine(http: httpx.AsyncClient, parts: Parts):
    await rested_machines(parts, 5)
    answers = await asyncio.gather(*(http.post(SIMULATE, headers=bearer()) for _ in range(5)))
    assert len({answer.json()["device"] for answer in answers}) == 5


async def test_an_ill_machine_is_not_used_also_after_a_restart(http: httpx.AsyncClient, parts: Parts):
    await rested_machines(parts, 2)
    assert isinstance(parts.anomalies, AnomalyStore)
    raised = anomaly(device="demo-1", detected_at_ms=int(now_ms()))
    await parts.anomalies.apply([raised], [], now_ms=0)
    assert (await http.post(SIMULATE, headers=bearer())).json()["device"] == "demo-2"
    cleared = msgspec.structs.replace(raised, phase=Phase.CLEARED, seq=raised.seq + 1)
    await parts.anomalies.apply([cleared], [], now_ms=0)
    answer = await http.post(SIMULATE, headers=bearer())
    assert answer.status_code == 503, "it is well again, but its mail would still be held back"


@pytest.mark.parametrize(
    ("content", "status"),
    [(b'{"fault": "explosion"}', 422), (b"[]", 422), (b"{", 400), (b"null", 422), (b'{"fault": null}', 422)],
)
async def test_a_wish_that_cannot_be_is_refused(http: httpx.AsyncClient, content: bytes, status: int):
    answer = await http.post(SIMULATE, content=content, headers=bearer() | {"Content-Type": "application/json"})
    assert answer.status_code == status


async def test_the_machines_own_times_become_the_first_two_hops(
    http: httpx.AsyncClient, parts: Parts, broker: MemoryBroker
):
    await rested_machines(parts, 2)
    correlation_id = (await http.post(SIMULATE, headers=bearer())).json()["correlation_id"]
    machine = await listener(broker, f"ronda-chain/v1/{Stage.TRACE}/+")
    done = {"id": correlation_id, "readings": 60, "published_at_ms": 1000, "acknowledged_at_ms": 1012}
    forged = str(DeviceTopic("plant-1", "demo-2", Channel.COMMAND_RESULT))
    await machine.publish([(forged, msgspec.json.encode(done | {"readings": 1}))])
    own = str(DeviceTopic("plant-1", "demo-1", Channel.COMMAND_RESULT))
    await machine.publish([(own, msgspec.json.encode(done))])
    [heard] = await asyncio.wait_for(machine.receive(), 5)
    hops = decode_events(HopEvent, heard.payload)
    assert [(hop.station, hop.did, hop.at_ms, hop.readings, hop.device) for hop in hops] == [
        ("device", "published", 1000, 60, "demo-1"),
        ("broker", "accepted", 1012, 60, "demo-1"),
    ]


async def test_a_machine_that_will_not_says_so_in_the_trace(
    http: httpx.AsyncClient, parts: Parts, broker: MemoryBroker
):
    await rested_machines(parts, 1)
    correlation_id = (await http.post(SIMULATE, headers=bearer())).json()["correlation_id"]
    machine = await listener(broker, f"ronda-chain/v1/{Stage.TRACE}/+")
    said = {"id": correlation_id, "refused": "not_prepared", "detail": "no healthy past"}
    own = str(DeviceTopic("plant-1", "demo-1", Channel.COMMAND_RESULT))
    await machine.publish([(own, msgspec.json.encode(said))])
    [heard] = await asyncio.wait_for(machine.receive(), 5)
    [hop] = decode_events(HopEvent, heard.payload)
    assert (hop.station, hop.did, hop.detail["reason"]) == ("device", "failed", "not_prepared")


async def test_silent_machines_are_asked_to_prepare_until_three_are_ready(app, parts: Parts, broker: MemoryBroker):
    assert isinstance(parts.devices, DeviceStore)
    await rested_machines(parts, 1)
    for number in range(2, 7):
        await parts.devices.ensure("plant-1", f"demo-{number}", "demo", now_ms=0)
    machine = await listener(broker, DeviceTopic.filter(Channel.COMMAND))
    fleet = app.state.services.fleet
    pool = Demonstration(parts.bus, fleet, cooldown_ms=COOLDOWN, clock_ms=now_ms, new_id=parts.new_id, settling_s=0)
    heard: list[Any] = []
    async with pool:
        while len(heard) < 2:
            heard += await asyncio.wait_for(machine.receive(), 5)
    assert [each.topic.split("/")[3] for each in heard] == ["demo-2", "demo-3"]
    assert all(msgspec.json.decode(each.payload)["prepare"] is True for each in heard)
    await until(lambda: not pool._tasks)
