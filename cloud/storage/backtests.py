"""Trials of models over stored readings: which past alarms would appear or vanish, and what was decided."""

from __future__ import annotations

import msgspec
from sqlalchemy import select
from sqlalchemy.dialects.postgresql import insert

from cloud.storage.database import Database
from cloud.storage.tables import Backtest as Table


class PastAlarm(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm that a model raises, or would have raised, over a period of its machine's own time.

    `anomaly_id`: the alarm that was really raised then; `verdict`: what a person said of it; `sensor`: its leading one.
    `cleared_ms` None: still on at the end of the trial.
    """

    since_ms: int
    cleared_ms: int | None
    severity: str
    peak: float
    sensor: str | None = None
    anomaly_id: str | None = None
    verdict: str | None = None


class BacktestRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A version's trial `against` another (None: nothing was in force) over the readings of a period."""

    id: str
    site: str
    device: str
    version: str
    against: str | None
    from_ms: int
    through_ms: int
    readings: int
    appeared: list[PastAlarm]
    vanished: list[PastAlarm]
    kept: int
    decision: str
    reason: str
    at_ms: int


class BacktestStore:
    """Keeps every trial."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, backtest: BacktestRecord) -> None:
        """Keep a trial; the same again changes nothing."""
        row = insert(Table).values(msgspec.to_builtins(backtest)).on_conflict_do_nothing()
        async with self._database.begin() as connection:
            await connection.execute(row)

    async def history(self, site: str, device: str, *, limit: int) -> list[BacktestRecord]:
        """The newest `limit` trials of a machine's models, newest first."""
        wanted = (
            select(Table.__table__)
            .where(Table.site == site, Table.device == device)
            .order_by(Table.at_ms.desc(), Table.id)
            .limit(limit)
        )
        async with self._database.begin() as connection:
            return [msgspec.convert(row._asdict(), BacktestRecord) for row in await connection.execute(wanted)]

    async def latest(self, site: str, device: str, version: str) -> BacktestRecord | None:
        """The newest trial of one version, or None."""
        wanted = (
            select(Table.__table__)
            .where(Table.site == site, Table.device == device, Table.version == version)
            .order_by(Table.at_ms.desc(), Table.id)
            .limit(1)
        )
        async with self._database.begin() as connection:
            row = (await connection.execute(wanted)).one_or_none()
        return None if row is None else msgspec.convert(row._asdict(), BacktestRecord)
