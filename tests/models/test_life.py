"""The life of a model on a real store and a real registry: learned, tried, in force, rolled back, refused."""

from __future__ import annotations

import asyncio
from pathlib import Path
from urllib.parse import unquote, urlsplit

import mlflow
import msgspec
import pytest

from cloud.models.championship import RefusedModelError, UnknownModelError
from cloud.models.registry import Registry
from cloud.models.training import Past
from cloud.storage.database import Database
from cloud.storage.model_versions import ModelVersion, Status
from cloud.storage.verdicts import Judgement
from contract.events import ModelRole
from detection.model import sha256
from tests.models.plant import SITE, Plant
from tests.support.machines import DEVIATIONS, START_MS, healthy


async def status(plant: Plant, version: str) -> Status:
    model = await plant.versions.get(SITE, plant.device, version)
    assert model is not None
    return model.status


async def test_a_candidate_is_refused_because_a_confirmed_alarm_would_vanish(
    database: Database, registry: Registry
) -> None:
    plant = Plant(database, registry, "refusing")
    values = healthy(4000)
    # The same fault three times: found by the first model, and learned as healthy where a person did not say so.
    for start in (1200, 2200, 3200):
        values[start : start + 120, 0] += 12 * DEVIATIONS[0]
    await plant.store(values)
    await plant.first_model(900)
    for start, verdict in ((1200, Judgement.TRUE), (2200, Judgement.FALSE), (3200, Judgement.FALSE)):
        await plant.judged(await plant.raised(start + 5, start + 150), verdict)
    candidate = await plant.school.teach(SITE, "refusing", Past())
    trial, promotion = await plant.jury.settle(candidate)
    assert promotion is None
    assert trial is not None
    assert trial.decision == "refuse"
    assert trial.reason.startswith("confirmed_alarm_vanishes: 1 confirmed alarms")
    assert [(each.anomaly_id, each.verdict) for each in trial.vanished if each.verdict == "true"] == [
        ("refusing-1205", "true")
    ]
    assert (trial.version, trial.against, trial.readings) == ("2", "1", 4000)
    assert await status(plant, "2") is Status.REFUSED
    assert await plant.in_force() == "1"
    with pytest.raises(RefusedModelError, match="speaks against it: confirmed_alarm_vanishes"):
        await plant.championship.promote(SITE, "refusing", "2")
    await plant.championship.promote(SITE, "refusing", "2", force=True)
    assert await plant.in_force() == "2"


async def two_models(plant: Plant) -> tuple[ModelVersion, ModelVersion]:
    """A champion, and a candidate that learned from twice as much and passed its trial."""
    await plant.store(healthy(1800))
    first = await plant.first_model(900)
    return first, await plant.school.teach(SITE, plant.device, Past(least=1800))


async def test_a_candidate_within_bounds_comes_into_force_by_itself(database: Database, registry: Registry) -> None:
    plant = Plant(database, registry, "better")
    _, candidate = await two_models(plant)
    assert await plant.in_force() == "1"
    trial, promotion = await plant.jury.settle(candidate)
    assert trial is not None
    assert (trial.decision, trial.reason.partition(":")[0]) == ("promote", "within_bounds")
    assert promotion is not None
    assert not promotion.mirrored
    assert (await status(plant, "1"), await status(plant, "2")) == (Status.RETIRED, Status.CHAMPION)
    announced = [event for event in plant.heard if event.role is ModelRole.CHAMPION]
    assert [event.model.version for event in announced] == ["1", "2"]
    await plant.mirror.reconcile()
    champion = registry.champion(SITE, "better")
    assert champion is not None
    assert champion.version == "2"


async def test_by_hand_a_candidate_challenges_until_it_is_promoted(database: Database, registry: Registry) -> None:
    plant = Plant(database, registry, "by-hand", automatic=False)
    _, candidate = await two_models(plant)
    trial, promotion = await plant.jury.settle(candidate)
    assert promotion is None
    assert trial is not None
    assert trial.decision == "wait"
    assert await plant.in_force() == "1"
    [challenger] = await plant.versions.challengers()
    assert challenger == plant.heard[-1]
    assert (challenger.role, challenger.model.version) == (ModelRole.CHALLENGER, "2")
    await plant.championship.promote(SITE, "by-hand", "2")
    champion, withdrawn = plant.heard[-2:]
    assert (champion.role, champion.model.version) == (ModelRole.CHAMPION, "2")
    assert (withdrawn.role, withdrawn.artifact_uri) == (ModelRole.CHALLENGER, "")
    assert await plant.versions.challengers() == []


async def test_a_new_challenger_takes_the_place_of_the_one_before(database: Database, registry: Registry) -> None:
    plant = Plant(database, registry, "again", automatic=False)
    _, candidate = await two_models(plant)
    await plant.jury.settle(candidate)
    await plant.jury.settle(await plant.school.teach(SITE, "again", Past()))
    assert (await status(plant, "2"), await status(plant, "3")) == (Status.RETIRED, Status.CANDIDATE)
    assert [event.model.version for event in await plant.versions.challengers()] == ["3"]


async def test_a_model_whose_bytes_were_changed_is_refused_and_the_old_one_stays(
    database: Database, registry: Registry
) -> None:
    plant = Plant(database, registry, "poisoned")
    _, candidate = await two_models(plant)
    path = Path(unquote(urlsplit(candidate.artifact_uri).path))
    path.write_bytes(path.read_bytes().replace(b'"window":20', b'"window":21'))
    with pytest.raises(RefusedModelError, match="it was changed after its promotion"):
        await plant.championship.promote(SITE, "poisoned", "2", force=True)
    assert await plant.in_force() == "1"
    assert [event.model.version for event in plant.heard if event.artifact_uri] == ["1"]
    mlflow.MlflowClient().set_registered_model_alias(candidate.name, "champion", "2")
    await plant.mirror.reconcile()
    assert await plant.in_force() == "1"


async def test_rolling_back_goes_to_the_model_before_and_needs_no_registry(
    database: Database, registry: Registry
) -> None:
    away = Registry("http://127.0.0.1:9", "")
    plant = Plant(database, registry, "back")
    _, candidate = await two_models(plant)
    await plant.jury.settle(candidate)
    rolled_back = Plant(database, away, "back")
    promotion = await rolled_back.championship.rollback(SITE, "back")
    assert (promotion.version, promotion.mirrored) == ("1", False)
    [told] = rolled_back.heard
    assert (told.model.version, told.promoted_at_ms) == ("1", promotion.promoted_at_ms)
    assert promotion.promoted_at_ms > plant.heard[-1].promoted_at_ms
    with pytest.raises(UnknownModelError, match="version 1 is the first model of plant-1/back"):
        await rolled_back.championship.rollback(SITE, "back")
    assert (await rolled_back.championship.rollback(SITE, "back", to="2")).version == "2"
    with pytest.raises(UnknownModelError, match="version 2 of plant-1/back is in force already"):
        await rolled_back.championship.rollback(SITE, "back", to="2")
    with pytest.raises(UnknownModelError, match="'7' of plant-1/back was never in force"):
        await rolled_back.championship.rollback(SITE, "back", to="7")
    with pytest.raises(UnknownModelError, match="plant-1/nowhere has no model"):
        await rolled_back.championship.rollback(SITE, "nowhere")


async def test_the_registrys_old_alias_does_not_undo_a_roll_back(database: Database, registry: Registry) -> None:
    plant = Plant(database, registry, "undone")
    _, candidate = await two_models(plant)
    await plant.jury.settle(candidate)
    await plant.mirror.reconcile()
    await plant.championship.rollback(SITE, "undone")
    await plant.mirror.reconcile()
    assert await plant.in_force() == "1"
    champion = registry.champion(SITE, "undone")
    assert champion is not None
    assert champion.version == "1"
    assert await plant.promotions.unmirrored() == []


async def test_an_alias_that_was_moved_in_the_registry_is_taken_over(database: Database, registry: Registry) -> None:
    plant = Plant(database, registry, "moved")
    _, candidate = await two_models(plant)
    mlflow.MlflowClient().set_registered_model_alias(candidate.name, "champion", "2")
    await plant.mirror.reconcile()
    assert await plant.in_force() == "2"
    mine = [event.model.version for event in plant.heard if event.artifact_uri and event.device == "moved"]
    assert mine == ["1", "2"]
    heard = len(plant.heard)
    await plant.mirror.reconcile()
    assert len(plant.heard) == heard


async def test_a_later_promotion_wins_whatever_the_clock_was_set_to(database: Database, registry: Registry) -> None:
    plant = Plant(database, registry, "clock")
    _, candidate = await two_models(plant)
    plant.now_ms -= 3_600_000
    await plant.jury.settle(candidate)
    assert await plant.in_force() == "2"
    announced = [event.promoted_at_ms for event in plant.heard if event.artifact_uri]
    assert announced == sorted(set(announced))


async def test_ten_moves_at_once_leave_one_champion(database: Database, registry: Registry) -> None:
    plant = Plant(database, registry, "hasty")
    await two_models(plant)
    await asyncio.gather(*(plant.championship.promote(SITE, "hasty", str(1 + n % 2), force=True) for n in range(10)))
    statuses = [await status(plant, version) for version in ("1", "2")]
    assert sorted(statuses) == [Status.CHAMPION, Status.RETIRED]
    in_force = await plant.in_force()
    assert await status(plant, str(in_force)) is Status.CHAMPION


async def test_a_champion_that_nobody_can_read_any_more_is_tried_against_what_was_raised(
    database: Database, registry: Registry
) -> None:
    plant = Plant(database, registry, "unreadable")
    first, candidate = await two_models(plant)
    Path(unquote(urlsplit(first.artifact_uri).path)).write_bytes(b'{"format":1}')
    await plant.judged(await plant.raised(1000, 1010), Judgement.TRUE)
    trial, _ = await plant.jury.settle(candidate)
    assert trial is not None
    assert trial.decision == "refuse"
    assert trial.from_ms == START_MS


@pytest.mark.parametrize("automatic", [True, False])
async def test_after_an_upgrade_the_first_model_that_can_be_read_comes_into_force_whatever_its_trial_says(
    database: Database, registry: Registry, *, automatic: bool
) -> None:
    plant = Plant(database, registry, f"upgraded-{automatic}", automatic=automatic)
    await plant.store(healthy(1800))
    first = await plant.first_model(900)
    outdated = b'{"format":1}'
    Path(unquote(urlsplit(first.artifact_uri).path)).write_bytes(outdated)
    promoted = msgspec.structs.replace(first.promotion(START_MS), sha256=sha256(outdated))
    await plant.promotions.promote(promoted)
    candidate = await plant.school.teach(SITE, plant.device, Past(least=1800))
    await plant.judged(await plant.raised(1000, 1010), Judgement.TRUE)
    trial, promotion = await plant.jury.settle(candidate)
    assert trial is not None
    assert trial.decision == "promote"
    assert trial.reason.startswith("unwatched: the model in force is of an earlier program")
    assert "confirmed_alarm_vanishes" in trial.reason
    assert promotion is not None
    assert await plant.in_force() == "2"


async def test_what_would_silence_many_alarms_that_nobody_judged_waits_for_a_person(
    database: Database, registry: Registry
) -> None:
    plant = Plant(database, registry, "silencing")
    _, candidate = await two_models(plant)
    raised = [await plant.raised(950 + 30 * number, 955 + 30 * number) for number in range(4)]
    trial, promotion = await plant.jury.settle(candidate)
    assert trial is not None
    assert (trial.decision, promotion) == ("wait", None)
    assert trial.reason.startswith("unjudged_alarms_vanish: 4 alarms that nobody judged")
    assert await status(plant, "2") is Status.CANDIDATE
    [challenger] = await plant.versions.challengers()
    assert challenger.model.version == "2"
    for event in raised:
        await plant.judged(event, Judgement.FALSE)
    again, promotion = await plant.jury.settle(candidate)
    assert again is not None
    assert again.decision == "promote"
    assert await plant.in_force() == "2"
