"""How machines are is said when it changes, not with every reading, and kept with the detectors' states."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from cloud.agents.anomaly_detection import LOOK_TICKS
from cloud.agents.machine_states import SAY_EVERY_MS, Herald
from contract.events import AlarmKind, Event, MachineState, MachineStateEvent, Maturity, SensorState
from detection.limits import Limit
from tests.agents.detection_bench import DEVICE, SITE, Bench, Clock, anomalies, block, promotion, rows
from tests.support.machines import METRICS, START_MS


@pytest.fixture
def bench() -> Bench:
    return Bench()


def states(events: list[Event]) -> list[MachineStateEvent]:
    return [event for event in events if isinstance(event, MachineStateEvent)]


async def test_a_machine_without_a_model_is_learning_and_says_so_once(bench: Bench) -> None:
    await bench.agent.handle([block(rows(10))])
    (said,) = states(list(await bench.agent.tick()))
    assert (said.state, said.maturity, said.model) == (MachineState.LEARNING, Maturity.LEARNING, None)
    await bench.agent.handle([block(rows(10), 10)])
    assert states(list(await bench.agent.tick())) == []


async def test_while_its_model_is_on_the_way_nothing_is_said(bench: Bench) -> None:
    bench.files.slow["1"] = asyncio.Event()
    await bench.agent.handle([promotion("1")])
    await bench.agent.handle([block(rows(10))])
    assert states(list(await bench.agent.tick())) == []
    bench.files.slow["1"].set()
    await asyncio.sleep(0)
    bench.store.stored = [block(rows(10))]
    (said,) = states(list(await bench.agent.tick()))
    assert said.state is MachineState.RUNNING


async def test_a_judged_machine_says_how_it_is_and_the_store_keeps_it(bench: Bench) -> None:
    await bench.agent.handle([promotion("1")])
    await bench.agent.handle([block(rows(60))])
    (said,) = states(list(await bench.agent.tick()))
    assert (said.state, said.maturity) == (MachineState.RUNNING, Maturity.YOUNG)
    assert said.model is not None
    assert said.measured_at_ms == block(rows(60)).measured_at_ms[-1]
    assert bench.store.states == [said]


async def test_another_model_is_said_and_the_same_state_is_not_repeated(bench: Bench) -> None:
    await bench.agent.handle([promotion("1")])
    await bench.agent.handle([block(rows(60))])
    await bench.agent.tick()
    await bench.agent.handle([block(rows(60), 60)])
    assert states(list(await bench.agent.tick())) == []
    bench.clock.now += SAY_EVERY_MS
    await bench.agent.handle([promotion("2", START_MS + 1)])
    (said,) = states(list(await bench.agent.tick()))
    assert said.model is not None
    assert said.model.version == "2"


def test_changes_within_seconds_wait_and_then_the_last_one_is_said() -> None:
    clock = Clock()
    herald = Herald(clock)
    running = MachineStateEvent(
        site=SITE,
        device=DEVICE,
        state=MachineState.RUNNING,
        maturity=Maturity.READY,
        measured_at_ms=1,
        at_ms=int(clock()),
    )
    assert herald.is_news(running)
    starting = msgspec.structs.replace(running, state=MachineState.STARTING)
    assert not herald.is_news(starting)
    assert herald.is_waiting(starting)
    assert not herald.is_waiting(running)
    clock.now += SAY_EVERY_MS
    assert herald.is_news(starting)
    assert not herald.is_news(msgspec.structs.replace(starting, measured_at_ms=99, at_ms=99))


async def test_a_clock_that_is_set_back_silences_no_machine(bench: Bench) -> None:
    await bench.agent.handle([promotion("1")])
    await bench.agent.handle([block(rows(60))])
    assert states(list(await bench.agent.tick()))
    bench.clock.set_by(-3_600_000)
    bench.clock.now += SAY_EVERY_MS
    await bench.agent.handle([promotion("2", START_MS + 1)])
    (said,) = states(list(await bench.agent.tick()))
    assert said.model is not None
    assert said.model.version == "2"


async def test_a_sensor_that_fell_silent_is_named(bench: Bench) -> None:
    await bench.agent.handle([promotion("1")])
    whole = block(rows(60))
    await bench.agent.handle([whole])
    await bench.agent.tick()
    bench.clock.now += SAY_EVERY_MS
    later = block(rows(60), 60)
    await bench.agent.handle([msgspec.structs.replace(later, metrics=METRICS[:-1], values=later.values[:-1])])
    (said,) = states(list(await bench.agent.tick()))
    assert said.sensors == {METRICS[-1]: SensorState.MISSING}


async def test_limits_are_looked_up_now_and_then_and_their_alarms_flow_like_all_others(bench: Bench) -> None:
    bench.store.promoted = [promotion("1")]
    await bench.agent.start()
    await bench.agent.handle([block(rows(30))])
    bench.store.limited = {(SITE, DEVICE): [Limit(metric=METRICS[0], high=0.05)]}
    for _ in range(LOOK_TICKS):
        await bench.agent.tick()
    (raised, *_) = anomalies(await bench.agent.handle([block(rows(40), 30)]))
    assert (raised.kind, raised.evidence.question) == (AlarmKind.LIMIT, "limit")
    assert raised.id in bench.store.events
