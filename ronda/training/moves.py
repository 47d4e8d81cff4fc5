"""`ronda backtest` and `ronda model promote|list|drift`: nothing here waits for the registry."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from cloud.models.championship import RefusedModelError, UnknownModelError
from cloud.storage.backtests import BacktestRecord, PastAlarm
from cloud.storage.database import Database
from cloud.storage.input_drifts import InputDriftStore
from cloud.storage.model_versions import ModelVersion, ModelVersionStore
from cloud.storage.verdicts import Precision, VerdictStore
from contract.names import split_address
from ronda.installation import InstallationError
from ronda.training.force import Announcer, championship, opened
from ronda.training.rollback import say_in_force
from ronda.training.spans import moment_ms, shown
from ronda.training.trying import jury

# A day of two models takes some seconds; a month, a minute or two: then it says how far it is.
_SAY_EVERY = 100_000


async def run_backtest(
    data: Path | None, address: str, version: str | None, from_: str | None, through: str | None
) -> None:
    """Print which past alarms would appear or vanish with this version, and what is decided."""
    site, device = split_address(address)
    from_ms, through_ms = moment_ms(from_, "--from"), moment_ms(through, "--through")
    if from_ms is not None and through_ms is not None and through_ms < from_ms:
        raise InstallationError(f"--through {through} is before --from {from_}")
    async with opened(data) as (around, database):
        model = await _asked(database, site, device, version)
        moves = championship(around, database, Announcer(around))
        record, _ = await jury(around, database, moves).judge(
            model, from_ms=from_ms, through_ms=through_ms, progress=_Progress()
        )
    print("\n".join(told(record)))


async def run_promote(data: Path | None, address: str, version: str, *, force: bool) -> None:
    """Try the version on the stored history and bring it into force, unless the trial speaks against it."""
    site, device = split_address(address)
    began = time.monotonic()
    async with opened(data) as (around, database):
        moves = championship(around, database, Announcer(around))
        if not force:
            model = await _asked(database, site, device, version)
            record, decision = await jury(around, database, moves).judge(model, progress=_Progress())
            print("\n".join(told(record)))
            if not (decision.promote or decision.ask):
                raise RefusedModelError(f"{address}: version {version} stays out; --force promotes it all the same")
        promotion = await moves.promote(site, device, version, force=True)
    say_in_force(promotion, began)


async def run_list(data: Path | None, address: str | None) -> None:
    """One line a model: those in force and those that wait, or all of one machine."""
    async with opened(data) as (_, database):
        versions, verdicts = ModelVersionStore(database), VerdictStore(database)
        if address is None:
            models = await versions.in_question()
            precisions = await verdicts.precision()
        else:
            site, device = split_address(address)
            models = await versions.history(site, device)
            precisions = await verdicts.precision(site, device)
    head = f"{'machine':<24} {'version':>7}  {'status':<10} {'readings':>9}"
    print(f"{head}  {'learned through':<19}  {'precision':<16} run")
    for model in models:
        precision = precisions.get((model.site, model.device, model.version), Precision())
        print(_line(model, precision))


async def run_drift(data: Path | None, address: str) -> None:
    """The newest hour that was compared with what the model learned, channel by channel."""
    site, device = split_address(address)
    async with opened(data) as (_, database):
        hours = await InputDriftStore(database).newest(site, device, limit=1)
    if not hours:
        print(f"{address}: no hour was compared yet; the first one is over an hour after the model came into force")
        return
    [hour] = hours
    print(f"{address}: {hour.readings:,} readings through {shown(hour.through_ms)} UTC, model {hour.model.version}")
    print(f"{'channel':<32} {'PSI':>7} {'KS':>7} {'p':>9}")
    for channel in sorted(hour.channels, key=lambda channel: -channel.psi):
        drifted = "  drifted" if channel.drifted else ""
        print(f"{channel.name:<32} {channel.psi:>7.3f} {channel.ks:>7.3f} {channel.p_value:>9.2g}{drifted}")


def told(record: BacktestRecord) -> Iterator[str]:
    """A trial as lines: the table of alarms, and the decision with its reason."""
    against = "no model" if record.against is None else f"version {record.against}"
    yield (
        f"{record.site}/{record.device}: version {record.version} against {against}, {record.readings:,} readings "
        f"from {shown(record.from_ms)} through {shown(record.through_ms)} UTC"
    )
    if record.appeared or record.vanished:
        yield f"  {'':<9} {'from':<19}  {'through':<19}  {'peak':>6}  {'verdict':<8} {'first sensor':<24} alert"
    yield from _alarms("appears", record.appeared)
    yield from _alarms("vanishes", record.vanished)
    yield f"  {len(record.appeared)} would appear, {len(record.vanished)} vanish, {record.kept} stay"
    yield f"  {record.decision}: {record.reason}"


def _alarms(what: str, alarms: Sequence[PastAlarm]) -> Iterator[str]:
    for alarm in alarms:
        yield (
            f"  {what:<9} {shown(alarm.since_ms):<19}  {shown(alarm.cleared_ms):<19}  {alarm.peak:>6.2f}  "
            f"{alarm.verdict or '-':<8} {alarm.sensor or '-':<24} {alarm.anomaly_id or '-'}"
        )


async def _asked(database: Database, site: str, device: str, version: str | None) -> ModelVersion:
    """This version, by default the newest one."""
    models = await ModelVersionStore(database).history(site, device)
    found = next((model for model in models if version in (None, model.version)), None)
    if found is None:
        known = ", ".join(model.version for model in models) or "none"
        raise UnknownModelError(f"{site}/{device} has no model {version or ''}; its versions: {known}")
    return found


def _line(model: ModelVersion, precision: Precision) -> str:
    machine = f"{model.site}/{model.device}"
    return (
        f"{machine:<24} {model.version:>7}  {model.status:<10} {model.rows:>9,}  "
        f"{shown(model.trained_through_ms):<19}  {judged(precision):<16} {model.run_id}"
    )


def judged(precision: Precision) -> str:
    """`4 of 5 (80 %)`; `not judged` before the first verdict."""
    if precision.share is None:
        return "not judged"
    return f"{precision.true} of {precision.true + precision.false} ({precision.share:.0%})"


class _Progress:
    """Says now and then how many readings were looked at."""

    def __init__(self) -> None:
        self._said = 0

    def __call__(self, readings: int) -> None:
        if readings - self._said >= _SAY_EVERY:
            self._said = readings
            print(f"  … {readings:,} readings", flush=True)
