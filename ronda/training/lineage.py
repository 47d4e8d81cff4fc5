"""`ronda model show`: from an alert to the model that raised it, its run, and the data that it learned from."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from cloud.models.championship import UnknownModelError
from cloud.storage.anomalies import AnomalyRecord, AnomalyStore
from cloud.storage.backtests import BacktestRecord, BacktestStore
from cloud.storage.database import Database
from cloud.storage.machine_states import MachineStateStore
from cloud.storage.model_refusals import ModelRefusalStore
from cloud.storage.model_versions import ModelVersion, ModelVersionStore, Status
from cloud.storage.shadow_scores import ShadowScore, ShadowScoreStore
from cloud.storage.verdicts import Precision, Verdict, VerdictStore
from contract.events import ModelRef, ModelRefusedEvent
from contract.names import split_address
from ronda.training.force import opened
from ronda.training.moves import judged
from ronda.training.spans import shown


class Lineage(msgspec.Struct, frozen=True, kw_only=True):
    """Everything that is known of a model, and of the alert that was asked about.

    `judging`: the model by which the machine is really judged, as was last said of it; `refusal`: the last time that
    this one was not put to use.
    """

    model: ModelVersion
    precision: Precision
    backtest: BacktestRecord | None
    shadow: list[ShadowScore]
    alert: AnomalyRecord | None = None
    verdict: Verdict | None = None
    judging: ModelRef | None = None
    refusal: ModelRefusedEvent | None = None


async def run_show(data: Path | None, asked: str, version: str | None) -> None:
    """Print the lineage of `SITE/DEVICE`'s champion, or of the model behind an alert."""
    async with opened(data) as (_, database):
        lineage = await _of_machine(database, asked, version) if "/" in asked else await of_alert(database, asked)
    print("\n".join(lines(lineage)))


async def of_alert(database: Database, anomaly_id: str) -> Lineage:
    """The model that raised it. Raises: UnknownModelError."""
    alert = await AnomalyStore(database).get(anomaly_id)
    if alert is None:
        raise UnknownModelError(f"there is no alert {anomaly_id!r}; a machine's model is shown with SITE/DEVICE")
    model = await ModelVersionStore(database).get(alert.site, alert.device, alert.event.model.version)
    if model is None:
        raise UnknownModelError(
            f"alert {anomaly_id} was raised by version {alert.event.model.version} of {alert.event.model.name} "
            f"(run {alert.event.model.run_id}), of which the store knows no more"
        )
    lineage = await _lineage(database, model)
    verdict = await VerdictStore(database).get(anomaly_id)
    return msgspec.structs.replace(lineage, alert=alert, verdict=verdict)


async def _of_machine(database: Database, address: str, version: str | None) -> Lineage:
    site, device = split_address(address)
    models = await ModelVersionStore(database).history(site, device)
    wanted = [model for model in models if model.version == version or (version is None and _in_force(model))]
    if not wanted:
        raise UnknownModelError(f"{address} has no model {version or 'in force'}; `ronda model list {address}` has all")
    return await _lineage(database, wanted[0])


def _in_force(model: ModelVersion) -> bool:
    return model.status is Status.CHAMPION


async def _lineage(database: Database, model: ModelVersion) -> Lineage:
    where = model.site, model.device, model.version
    precisions = await VerdictStore(database).precision(model.site, model.device)
    machine = await MachineStateStore(database).get(model.site, model.device)
    refusals = await ModelRefusalStore(database).newest(model.site, model.device)
    return Lineage(
        model=model,
        precision=precisions.get(where, Precision()),
        backtest=await BacktestStore(database).latest(*where),
        shadow=await ShadowScoreStore(database).of(*where),
        judging=None if machine is None else machine.model,
        refusal=refusals.get(where),
    )


def lines(lineage: Lineage) -> Iterator[str]:
    """The lineage as a person reads it: alert → version → run → data."""
    model = lineage.model
    if lineage.alert is not None:
        yield from _of_the_alert(lineage.alert, lineage.verdict)
    yield f"model      {model.name} version {model.version}, {model.status}, made {shown(model.created_at_ms)} UTC"
    yield f"           sha256 {model.sha256}"
    yield f"           {model.artifact_uri}"
    yield f"judging    {_judging(model, lineage.judging)}"
    if lineage.refusal is not None:
        yield f"refused    {_refused(lineage.refusal)}"
    yield f"run        {model.run_id}, ronda {model.code_version or 'of an earlier version'}"
    period = f"from {shown(model.trained_from_ms)} through {shown(model.trained_through_ms)} UTC"
    yield f"data       {model.rows:,} readings {period}"
    yield f"           hash {model.data_hash}"
    for left_out in model.excluded:
        yield f"           left out {shown(left_out.from_ms)} through {shown(left_out.through_ms)}: {left_out.why}"
    yield f"limits     {_exceedance(model)}"
    yield f"precision  {_precision(lineage.precision)}"
    yield f"back-test  {_trial(lineage.backtest)}"
    yield f"shadow     {_shadow(lineage.shadow)}"


def _of_the_alert(alert: AnomalyRecord, verdict: Verdict | None) -> Iterator[str]:
    since = f"{alert.severity}, since {shown(alert.since_ms)} UTC"
    yield f"alert      {alert.anomaly_id} of {alert.site}/{alert.device}, {since}"
    yield f"           {alert.event.evidence.sentence.get('en', '')}"
    if verdict is not None:
        cause = f", {verdict.cause}" if verdict.cause else ""
        yield f"           verdict {verdict.verdict}{cause}, by {verdict.given_by}"


def _judging(model: ModelVersion, judging: ModelRef | None) -> str:
    if judging is None:
        return "no version judges this machine now"
    if judging.version == model.version:
        return "this version judges the machine now"
    although = ", although this one is in force" if _in_force(model) else ""
    return f"version {judging.version} judges the machine now{although}"


def _refused(refusal: ModelRefusedEvent) -> str:
    if refusal.in_use is None:
        went_on = "no other version was in use"
    elif refusal.in_use == refusal.model:
        went_on = "a sound copy of it went on"
    else:
        went_on = f"version {refusal.in_use.version} went on"
    return f"{shown(refusal.at_ms)} UTC: {refusal.why}; {went_on}"


def _exceedance(model: ModelVersion) -> str:
    factor = "" if model.factor is None else f"{model.factor:g} times what healthy running showed; "
    if model.exceedance is None:
        return f"{factor}too few readings to tell how many of the last third are beyond them"
    return f"{factor}{model.exceedance:.1%} of the last third beyond them, learned from the first two"


def _precision(precision: Precision) -> str:
    planned = f", {precision.planned} were planned work" if precision.planned else ""
    if precision.share is None:
        return f"no alarm of this version was judged true or false yet{planned}"
    return f"{judged(precision)} alarms right{planned}"


def _trial(trial: BacktestRecord | None) -> str:
    if trial is None:
        return "none: a first model has nothing to be tried against"
    return (
        f"against version {trial.against} over {trial.readings:,} readings: {len(trial.appeared)} would appear, "
        f"{len(trial.vanished)} vanish, {trial.kept} stay; {trial.decision}: {trial.reason}"
    )


def _shadow(hours: list[ShadowScore]) -> str:
    if not hours:
        return "never scored beside a champion"
    rows = sum(hour.rows for hour in hours)
    both, champion = sum(hour.beyond_both for hour in hours), sum(hour.beyond_champion for hour in hours)
    challenger = sum(hour.beyond_challenger for hour in hours)
    beyond = f"of both {both:,}, of the champion {champion:,}, of this one {challenger:,}"
    return f"{rows:,} readings beside the champion, beyond the limit {beyond}"
