"""What is written with the detectors' states: how machines are, hours of inputs, refusals and shadows."""

from __future__ import annotations

import msgspec
import pytest

from cloud.agents.assets import Position
from cloud.agents.detection_ports import Kept, Snapshot
from cloud.agents.shadow import Tally
from cloud.storage.database import Database
from cloud.storage.input_drifts import KEPT_MS, InputDriftStore
from cloud.storage.machine_states import MachineStateStore
from cloud.storage.model_refusals import ModelRefusalStore
from cloud.storage.notifications import NotificationStore
from cloud.storage.shadow_scores import ShadowScoreStore
from contract.events import (
    Delivery,
    InputDriftedEvent,
    MachineState,
    MachineStateEvent,
    Maturity,
    ModelRef,
    ModelRefusedEvent,
    NotificationSentEvent,
    Phase,
)
from ronda.memory import DetectorMemory
from tests.support.anomalies import anomaly

SITE, DEVICE = "plant-1", "pump-07"
MODEL = ModelRef(name="ronda.plant-1.pump-07", version="3", run_id="r", sha256="s")
REFUSED = ModelRefusedEvent(site=SITE, device=DEVICE, model=MODEL, why="it was changed", at_ms=5)
RUNNING = MachineStateEvent(
    site=SITE,
    device=DEVICE,
    state=MachineState.RUNNING,
    maturity=Maturity.READY,
    measured_at_ms=1,
    at_ms=2,
    model=MODEL,
)
TALLY = Tally(
    site=SITE, device=DEVICE, version="4", champion="3", from_ms=0, through_ms=3_599_000, rows=3600,
    beyond_both=1, beyond_champion=2, beyond_challenger=3,
)  # fmt: skip


def hour(through_ms: int) -> InputDriftedEvent:
    return InputDriftedEvent(
        site=SITE, device=DEVICE, channels=[], from_ms=through_ms - 1, through_ms=through_ms, readings=2, model=MODEL
    )


def told(delivery: Delivery) -> NotificationSentEvent:
    return NotificationSentEvent(
        site=SITE, device=DEVICE, anomaly_id=REFUSED.id, decision="model_refused", channel="mail",
        delivery=delivery, receipt="250 kept", sent_at_ms=11, correlation_id=REFUSED.id,
    )  # fmt: skip


@pytest.fixture
def memory(database: Database) -> DetectorMemory:
    return DetectorMemory(database, "test", lambda: 7.0, lambda: 7.0)


async def test_everything_found_is_kept_at_once(memory: DetectorMemory, database: Database) -> None:
    place = Position(1, "9f2c41d07be3a655", 4)
    snapshot = Snapshot(
        site=SITE, device=DEVICE, model_version="3", position=place, state=b"window", drift=b"an hour so far"
    )
    found = Kept(
        snapshots=[snapshot],
        anomalies=[anomaly()],
        states=[RUNNING],
        hours=[hour(10)],
        drifted=[hour(10)],
        refusals=[REFUSED],
        tallies=[TALLY],
    )
    assert await memory.keep(found) == [REFUSED.id]
    assert await memory.snapshot(SITE, DEVICE) == snapshot
    assert await MachineStateStore(database).get(SITE, DEVICE) == RUNNING
    assert await InputDriftStore(database).newest(SITE, DEVICE) == [hour(10)]
    assert await ModelRefusalStore(database).newest(SITE, DEVICE) == {(SITE, DEVICE, "3"): REFUSED}
    (score,) = await ShadowScoreStore(database).of(SITE, DEVICE, "4")
    assert msgspec.structs.asdict(score) == msgspec.structs.asdict(TALLY)
    waiting = await memory.unpublished()
    assert {event.id for event in waiting} == {anomaly().id, hour(10).id, REFUSED.id}
    await memory.published([event.id for event in waiting])
    assert await memory.unpublished() == []


async def test_the_same_refusal_again_is_not_new(memory: DetectorMemory) -> None:
    assert await memory.keep(Kept(refusals=[REFUSED])) == [REFUSED.id]
    assert await memory.keep(Kept(refusals=[msgspec.structs.replace(REFUSED, at_ms=99)])) == []


async def test_of_each_version_the_last_refusal_is_told(memory: DetectorMemory, database: Database) -> None:
    again = msgspec.structs.replace(REFUSED, why="it was changed again", at_ms=6)
    earlier = msgspec.structs.replace(REFUSED, model=msgspec.structs.replace(MODEL, version="2"))
    elsewhere = msgspec.structs.replace(REFUSED, site="plant-2")
    await memory.keep(Kept(refusals=[again, REFUSED, earlier, elsewhere]))
    store = ModelRefusalStore(database)
    assert await store.newest(SITE, DEVICE) == {(SITE, DEVICE, "3"): again, (SITE, DEVICE, "2"): earlier}
    assert await store.newest(SITE) == await store.newest(SITE, DEVICE)
    assert len(await store.newest()) == 3
    assert await store.newest(SITE, "pump-08") == {}


async def test_what_is_open_is_told_as_it_stands_and_no_more_once_it_is_closed(memory: DetectorMemory) -> None:
    raised = anomaly()
    worse = msgspec.structs.replace(raised, phase=Phase.UPDATED, seq=raised.seq + 1, score=9.0)
    later = msgspec.structs.replace(raised, anomaly_id="f" * 32)
    await memory.keep(Kept(anomalies=[raised, worse, later, msgspec.structs.replace(later, site="plant-2")]))
    assert await memory.open_anomalies(SITE, DEVICE) == [worse, later]
    await memory.keep(Kept(anomalies=[msgspec.structs.replace(worse, phase=Phase.CLEARED, begun_anew=True)]))
    assert await memory.open_anomalies(SITE, DEVICE) == [later]


async def test_of_a_machine_the_last_state_is_kept(memory: DetectorMemory, database: Database) -> None:
    off = msgspec.structs.replace(RUNNING, state=MachineState.OFF, measured_at_ms=9)
    await memory.keep(Kept(states=[RUNNING, off]))
    assert await MachineStateStore(database).all() == [off]


async def test_hours_of_more_than_a_month_ago_are_let_go(memory: DetectorMemory, database: Database) -> None:
    await memory.keep(Kept(hours=[hour(10)]))
    await memory.keep(Kept(hours=[hour(KEPT_MS + 11)]))
    assert await InputDriftStore(database).newest(SITE, DEVICE) == [hour(KEPT_MS + 11)]


async def test_a_mail_about_a_model_neither_quietens_an_alarm_nor_waits_for_one(database: Database) -> None:
    store = NotificationStore(database)
    assert await store.record_refusal(told(Delivery.DELIVERED), REFUSED, now_ms=12)
    assert await store.last(SITE, DEVICE) is None
    assert await store.refusal_told_ms(SITE, DEVICE) == 11
    assert await store.is_decided(REFUSED)
    assert await store.refusal_told_ms(SITE, "another") is None


async def test_a_refusal_that_the_bus_had_and_nobody_decided_on_is_untold(
    memory: DetectorMemory, database: Database
) -> None:
    store = NotificationStore(database)
    await memory.keep(Kept(refusals=[REFUSED]))
    assert await store.untold_refusals(from_ms=0, until_ms=7) == [], "it is not on the bus yet"
    await memory.published([REFUSED.id])
    assert await store.untold_refusals(from_ms=0, until_ms=6) == [], "it may be on its way"
    assert await store.untold_refusals(from_ms=0, until_ms=7) == [REFUSED]
    assert await store.untold_refusals(from_ms=REFUSED.at_ms + 1, until_ms=7) == [], "it is history"
    await store.record_refusal(told(Delivery.SUPPRESSED), REFUSED, now_ms=7)
    assert await store.untold_refusals(from_ms=0, until_ms=7) == []


async def test_a_refused_model_that_is_used_after_all_is_not_told_any_more(
    memory: DetectorMemory, database: Database
) -> None:
    store = NotificationStore(database)
    copied = msgspec.structs.replace(REFUSED, in_use=MODEL, why="what is kept of it was changed")
    before = Snapshot(site=SITE, device=DEVICE, model_version="3", position=Position(1), state=b"window")
    await DetectorMemory(database, "earlier", lambda: 4.0, lambda: 4.0).keep(Kept(snapshots=[before]))
    await memory.keep(Kept(refusals=[REFUSED, copied]))
    await memory.published([REFUSED.id, copied.id])
    everything = {REFUSED.id, copied.id}
    assert {event.id for event in await store.untold_refusals(from_ms=0, until_ms=7)} == everything
    await memory.keep(Kept(snapshots=[before]))
    assert await store.untold_refusals(from_ms=0, until_ms=7) == [copied], "our own copy of it goes on, which is news"
