"""Which stored rows a machine learns from, on a real store and with a real registry."""

from __future__ import annotations

import mlflow
import msgspec
import numpy as np
import pytest
from sqlalchemy import text

from cloud.models.artifacts import Artifacts
from cloud.models.registry import Registry
from cloud.models.training import Past, due_again
from cloud.storage.database import Database
from cloud.storage.model_versions import Status
from cloud.storage.verdicts import Judgement
from contract.events import MachineState, MachineStateEvent, Maturity
from detection.errors import FitError
from detection.model import FORMAT
from tests.models.plant import SITE, Plant
from tests.support.machines import DEVIATIONS, START_MS, healthy


async def test_a_first_model_learns_from_the_first_rows_and_comes_into_force(
    database: Database, registry: Registry
) -> None:
    plant = Plant(database, registry, "first")
    await plant.store(healthy(1500))
    model = await plant.first_model(900)
    assert (model.rows, model.trained_from_ms, model.trained_through_ms) == (900, START_MS, START_MS + 899_000)
    assert (model.code_version, model.format) == ("test", FORMAT)
    assert Artifacts().load(model.artifact_uri, model.sha256).rows == 900
    assert await plant.in_force() == "1"
    assert [event.model.version for event in plant.heard if event.artifact_uri] == ["1"]
    kept = await plant.versions.get(SITE, "first", "1")
    assert kept is not None
    assert kept.status is Status.CHAMPION
    registered = registry.champion(SITE, "first")
    assert registered is not None
    assert registered.sha256 == model.sha256


async def test_changing_the_stored_rows_changes_the_data_hash_and_the_model(
    database: Database, registry: Registry
) -> None:
    plant = Plant(database, registry, "changed")
    await plant.store(healthy(900))
    first, again = await plant.first_model(), await plant.school.teach(SITE, "changed", Past())
    assert (again.data_hash, again.sha256) == (first.data_hash, first.sha256)
    async with database.begin() as connection:
        await connection.execute(text("UPDATE readings SET values[1] = values[1] * 1.2 WHERE seq >= 200"))
    other = await plant.school.teach(SITE, "changed", Past())
    assert other.data_hash != first.data_hash
    assert other.sha256 != first.sha256


async def test_alarms_are_left_out_unless_a_person_called_them_false(database: Database, registry: Registry) -> None:
    plant = Plant(database, registry, "judged")
    values = healthy(3000)
    values[1000:1100, 0] += 20 * DEVIATIONS[0]
    await plant.store(values)
    event = await plant.raised(1010, 1110)
    unknown = await plant.school.lesson(SITE, "judged", Past())
    assert [period.why for period in unknown.excluded] == ["alarm that nobody judged"]
    assert len(unknown.measured_at_ms) == 3000 - 701
    assert unknown.values[:, 0].max() < 0.3
    await plant.judged(event, Judgement.FALSE)
    taught = await plant.school.lesson(SITE, "judged", Past())
    assert len(taught.measured_at_ms) == 3000
    assert taught.excluded == []


async def test_a_marked_period_is_left_out_and_the_run_says_so(database: Database, registry: Registry) -> None:
    plant = Plant(database, registry, "marked")
    await plant.store(healthy(1500))
    marked = ((START_MS + 100_000, START_MS + 199_000),)
    model = await plant.school.teach(SITE, "marked", Past(marked=marked))
    assert model.rows == 1400
    assert [(period.span, period.why) for period in model.excluded] == [(marked[0], "marked as faulty")]
    tags = mlflow.MlflowClient().get_run(model.run_id).data.tags
    assert "marked as faulty" in tags["excluded"]
    assert tags["data_hash"] == model.data_hash


async def test_of_too_many_rows_the_latest_are_taken_whole(
    database: Database, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cloud.models.training.PAGE_ROWS", 700)
    plant = Plant(database, registry, "long")
    await plant.store(healthy(2000))
    await plant.raised(1500, 1510)
    lesson = await plant.school.lesson(SITE, "long", Past(rows=1000))
    seconds = (lesson.measured_at_ms - START_MS) // 1000
    assert len(seconds) == 1000
    assert seconds[-1] == 1999
    assert seconds[0] == 2000 - 1000 - 611
    assert set(np.diff(seconds)) == {1, 612}


async def test_a_metric_that_came_later_has_no_values_before(database: Database, registry: Registry) -> None:
    plant = Plant(database, registry, "grown")
    await plant.store(healthy(20))
    async with database.begin() as connection:
        await connection.execute(text("UPDATE readings SET values = values[1:3] WHERE seq < 10"))
    lesson = await plant.school.lesson(SITE, "grown", Past())
    assert np.isnan(lesson.values[:10, 3]).all()
    assert not np.isnan(lesson.values[10:]).any()


async def test_too_few_healthy_rows_are_told_with_what_to_do(database: Database, registry: Registry) -> None:
    plant = Plant(database, registry, "few")
    await plant.store(healthy(600))
    with pytest.raises(FitError, match="there are 600 readings in this period, 900 are needed"):
        await plant.school.lesson(SITE, "few", Past(least=900))
    await plant.raised(400, None)
    with pytest.raises(FitError, match=r"100 healthy readings are left, 900 are needed: 1 alarms .*`ronda verdict`"):
        await plant.school.lesson(SITE, "few", Past(least=900))


async def test_a_machine_learns_again_with_twice_as_much_healthy_running(
    database: Database, registry: Registry
) -> None:
    plant = Plant(database, registry, "doubling")
    await plant.store(healthy(1799))
    await plant.first_model(900)
    assert await due_again(plant.readings, plant.verdicts) == []
    await plant.store(healthy(1)[:1], first=1799)
    [due] = await due_again(plant.readings, plant.verdicts)
    assert (due.device, due.needed, due.stored) == ("doubling", 1800, 1800)
    event = await plant.raised(1500, 1501)
    assert await due_again(plant.readings, plant.verdicts) == []
    await plant.judged(event, Judgement.FALSE)
    assert await due_again(plant.readings, plant.verdicts) == [due]
    model = await plant.school.teach(SITE, "doubling", Past(least=due.needed))
    assert model.rows == 1800
    assert await due_again(plant.readings, plant.verdicts) == []


async def test_what_only_shows_something_is_not_learned_again(database: Database, registry: Registry) -> None:
    for device, origin, learn_rows in (("tape", "replay", None), ("show", "demo", None), ("set", "http", 900)):
        plant = Plant(database, registry, device)
        await plant.devices.ensure(SITE, device, origin, now_ms=0, learn_rows=learn_rows)
        await plant.store(healthy(1800))
        await plant.first_model(900)
        assert await due_again(plant.readings, plant.verdicts) == []


async def test_a_machine_whose_models_nobody_can_read_any_more_learns_anew(
    database: Database, registry: Registry
) -> None:
    plant = Plant(database, registry, "outdated")
    await plant.store(healthy(900))
    await plant.first_model()
    assert await plant.readings.devices_to_learn_anew(FORMAT) == []
    [outdated] = await plant.readings.devices_to_learn_anew(FORMAT + 1)
    assert (outdated.site, outdated.device) == (SITE, "outdated")


async def test_a_machine_at_a_speed_that_no_model_knows_learns_as_a_new_one_does(
    database: Database, registry: Registry
) -> None:
    plant = Plant(database, registry, "shifted")
    await plant.store(healthy(1000))
    await plant.first_model(900)
    at_a_loss = MachineStateEvent(
        site=SITE, device="shifted", state=MachineState.LEARNING, maturity=Maturity.YOUNG,
        measured_at_ms=START_MS + 949_000, at_ms=0,
    )  # fmt: skip
    await plant.said(at_a_loss)
    assert await plant.readings.devices_at_a_loss(51) == []
    assert await plant.readings.devices_at_a_loss(50) == [(SITE, "shifted")]
    await plant.said(msgspec.structs.replace(at_a_loss, state=MachineState.RUNNING))
    assert await plant.readings.devices_at_a_loss(50) == []
    await plant.said(at_a_loss)
    await plant.school.teach(SITE, "shifted", Past())
    assert await plant.readings.devices_at_a_loss(50) == []


async def test_a_machine_without_a_model_is_not_at_a_loss(database: Database, registry: Registry) -> None:
    plant = Plant(database, registry, "new")
    await plant.store(healthy(200))
    await plant.said(
        MachineStateEvent(
            site=SITE, device="new", state=MachineState.LEARNING, maturity=Maturity.LEARNING,
            measured_at_ms=START_MS, at_ms=0,
        )
    )  # fmt: skip
    assert await plant.readings.devices_at_a_loss(50) == []


async def test_the_last_model_takes_what_a_fit_can_hold(
    database: Database, registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in ("cloud.models.training", "cloud.models.selection"):
        monkeypatch.setattr(f"{module}.MAX_NUMBERS", 4 * 1200)
    plant = Plant(database, registry, "wide")
    await plant.store(healthy(2000))
    await plant.first_model(900)
    [due] = await due_again(plant.readings, plant.verdicts)
    assert due.needed == 1200
    assert (await plant.school.teach(SITE, "wide", Past(least=due.needed))).rows == 1200
    assert await due_again(plant.readings, plant.verdicts) == []
