"""What no watch goes on with is closed in the store, and said so: nothing stays open for ever."""

from __future__ import annotations

import msgspec
import pytest

from cloud.agents.detection_ports import Snapshot
from contract.errors import TransientError
from contract.events import AlarmKind, AnomalyDetectedEvent, Phase
from detection.episode import Severity
from detection.limit import Limit
from tests.agents.detection_bench import DEVICE, SITE, Bench, anomalies, block, promotion, rows
from tests.support.machines import METRICS

SICK = rows(80, sick_from=30)
LIMIT = Limit(metric=METRICS[0], high=0.3, severity=Severity.WARNING)


@pytest.fixture
def bench() -> Bench:
    return Bench()


async def ill(bench: Bench) -> AnomalyDetectedEvent:
    """A machine with an open anomaly, whose state is kept."""
    bench.store.promoted = [promotion()]
    await bench.agent.start()
    (raised, *_) = anomalies(await bench.agent.handle([block(SICK)]))
    await bench.agent.stop()
    return raised


def damaged(bench: Bench) -> Snapshot:
    """Its state is one that this program cannot read, such as that of an earlier one."""
    kept = bench.store.snapshots[SITE, DEVICE]
    bench.store.snapshots[SITE, DEVICE] = msgspec.structs.replace(kept, state=b"of an earlier program")
    return kept


async def test_an_anomaly_whose_state_cannot_be_read_is_cleared_with_a_note(bench: Bench) -> None:
    raised = await ill(bench)
    kept = damaged(bench)
    (cleared,) = anomalies(await bench.restarted().start())
    assert (cleared.anomaly_id, cleared.phase, cleared.begun_anew) == (raised.anomaly_id, Phase.CLEARED, True)
    assert (cleared.measured_at_ms, cleared.seq) == (kept.position.measured_at_ms, kept.position.seq)
    assert cleared.evidence.sentence["en"].endswith("begins anew; what is still outside is raised again.")
    assert cleared.evidence.sentence["pt"].startswith(raised.evidence.sentence["pt"])
    assert cleared.id in bench.store.events


async def test_what_is_still_outside_is_raised_again_as_another(bench: Bench) -> None:
    raised = await ill(bench)
    damaged(bench)
    await bench.restarted().start()
    again = anomalies(await bench.agent.handle([block(rows(80, sick_from=0), 80)]))
    assert again[0].phase is Phase.RAISED
    assert again[0].anomaly_id != raised.anomaly_id


async def test_it_is_said_once_however_often_the_program_starts(bench: Bench) -> None:
    await ill(bench)
    damaged(bench)
    assert len(anomalies(await bench.restarted().start())) == 1
    assert anomalies(await bench.restarted().start()) == []


async def test_a_state_that_can_be_read_closes_nothing(bench: Bench) -> None:
    raised = await ill(bench)
    assert anomalies(await bench.restarted().start()) == []
    (cleared,) = anomalies(await bench.agent.handle([block(rows(120), 80)]))
    assert (cleared.anomaly_id, cleared.phase, cleared.begun_anew) == (raised.anomaly_id, Phase.CLEARED, False)


@pytest.mark.parametrize("kind", [kind for kind in AlarmKind if kind is not AlarmKind.SILENT])
async def test_every_kind_of_alarm_is_closed(bench: Bench, kind: AlarmKind) -> None:
    raised = await ill(bench)
    open_there = msgspec.structs.replace(raised, kind=kind)
    bench.store.events = {open_there.id: open_there}
    damaged(bench)
    (cleared,) = anomalies(await bench.restarted().start())
    assert (cleared.kind, cleared.phase) == (kind, Phase.CLEARED)


async def test_a_device_that_is_not_heard_stays_silent_whoever_judges_it(bench: Bench) -> None:
    raised = await ill(bench)
    open_there = msgspec.structs.replace(raised, kind=AlarmKind.SILENT)
    bench.store.events = {open_there.id: open_there}
    damaged(bench)
    assert anomalies(await bench.restarted().start()) == []


async def test_an_alarm_that_an_earlier_program_forgot_is_closed_beside_one_that_goes_on(bench: Bench) -> None:
    raised = await ill(bench)
    forgotten = msgspec.structs.replace(raised, anomaly_id="0" * 32, since_ms=raised.since_ms - 1)
    bench.store.events = {forgotten.id: forgotten, **bench.store.events}
    (cleared,) = anomalies(await bench.restarted().start())
    assert cleared.anomaly_id == forgotten.anomaly_id


async def test_a_model_of_an_earlier_format_that_is_learned_anew_closes_what_was_open(bench: Bench) -> None:
    raised = await ill(bench)
    damaged(bench)
    bench.files.outdated = {"1"}
    assert anomalies(await bench.restarted().start()) == []
    (cleared,) = anomalies(await bench.agent.handle([promotion("2", promoted_at_ms=promotion().promoted_at_ms + 1)]))
    assert (cleared.anomaly_id, cleared.model.version) == (raised.anomaly_id, "2")


async def test_an_alarm_about_a_sensor_is_left_to_the_detector_that_goes_on_with_its_state(bench: Bench) -> None:
    stuck = rows(400)
    stuck[20:, 3] = stuck[20, 3]
    await bench.agent.handle([promotion("1")])
    (raised,) = anomalies(await bench.agent.handle([block(stuck)]))
    assert raised.kind is AlarmKind.SENSOR
    await bench.agent.stop()
    bench.store.promoted = [promotion("1")]
    assert anomalies(await bench.restarted().start()) == []
    await bench.agent.stop()
    damaged(bench)
    (cleared,) = anomalies(await bench.restarted().start())
    assert (cleared.anomaly_id, cleared.phase) == (raised.anomaly_id, Phase.CLEARED)


async def test_an_alarm_of_a_limit_goes_on_over_a_restart_and_a_swap(bench: Bench) -> None:
    bench.store.limited = {(SITE, DEVICE): [LIMIT]}
    raised = await ill(bench)
    kinds = {event.kind for event in bench.store.events.values()}
    assert (raised.phase, AlarmKind.LIMIT in kinds) == (Phase.RAISED, True)
    assert anomalies(await bench.restarted().start()) == []
    assert anomalies(await bench.agent.handle([promotion("2", promoted_at_ms=promotion().promoted_at_ms + 1)])) == []


async def test_a_store_that_is_away_is_asked_again_before_anything_is_judged(bench: Bench) -> None:
    raised = await ill(bench)
    damaged(bench)
    agent = bench.restarted()
    bench.store.anomalies_away = 1
    with pytest.raises(TransientError):
        await agent.start()
    (cleared,) = anomalies(await agent.tick())
    assert cleared.anomaly_id == raised.anomaly_id
