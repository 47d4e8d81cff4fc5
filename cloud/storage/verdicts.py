"""What people say of alarms: stored with the alarm, counted per model, and heeded by the next training."""

from __future__ import annotations

import enum
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Select, delete, func, select
from sqlalchemy.dialects.postgresql import insert

from cloud.storage.database import Database
from cloud.storage.tables import Anomaly
from cloud.storage.tables import Verdict as Table
from contract.events import AlarmKind, AnomalyDetectedEvent, Severity

# An event that does not say its kind is an anomaly; alarms of limits, trends and broken sensors are no model's.
_kind = func.coalesce(Anomaly.event["kind"].astext, AlarmKind.ANOMALY.value)
_of_a_model = _kind == AlarmKind.ANOMALY.value


class Judgement(enum.StrEnum):
    """The machine was at fault, it was not, or it was work that somebody had planned."""

    TRUE = "true"
    FALSE = "false"
    PLANNED = "planned"


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """A person's word about one alarm; `cause` names the fault that was found, `model_version` whose alarm it was."""

    anomaly_id: str
    site: str
    device: str
    verdict: Judgement
    given_by: str
    given_at_ms: int
    model_version: str
    cause: str | None = None
    comment: str | None = None


class Precision(msgspec.Struct, frozen=True, kw_only=True):
    """How many of a model's alarms were right; planned work counts for neither side."""

    true: int = 0
    false: int = 0
    planned: int = 0

    @property
    def share(self) -> float | None:
        """True alarms of those that were judged, 0 to 1; None before the first."""
        judged = self.true + self.false
        return self.true / judged if judged else None


class Episode(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm as a period of its machine: until `cleared_at_ms`, or still on; `verdict` None: nobody judged it.

    `kind` is that of the event: only an anomaly is a model's own alarm. `sensor`: the one with the largest share.
    """

    anomaly_id: str
    since_ms: int
    cleared_at_ms: int | None
    verdict: Judgement | None
    kind: AlarmKind = AlarmKind.ANOMALY
    severity: Severity = Severity.WARNING
    peak_score: float = 0.0
    sensor: str | None = None


class Confirmed(msgspec.Struct, frozen=True, kw_only=True):
    """An alarm that was right, as it was raised, and the fault that was found."""

    event: AnomalyDetectedEvent
    cause: str


class VerdictStore:
    """Keeps one verdict per alarm, the last one given."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def give(self, verdict: Verdict) -> None:
        """Keep it, over an earlier one about the same alarm."""
        row = msgspec.structs.asdict(verdict)
        over = insert(Table).values(row).on_conflict_do_update(index_elements=[Table.anomaly_id], set_=row)
        async with self._database.begin() as connection:
            await connection.execute(over)

    async def take_back(self, anomaly_id: str) -> bool:
        """Returns whether there was one."""
        async with self._database.begin() as connection:
            return (await connection.execute(delete(Table).where(Table.anomaly_id == anomaly_id))).rowcount > 0

    async def get(self, anomaly_id: str) -> Verdict | None:
        """What was said of this alarm, or None."""
        return (await self.of([anomaly_id])).get(anomaly_id)

    async def of(self, anomaly_ids: Sequence[str]) -> dict[str, Verdict]:
        """What was said of these alarms, by their id; those that nobody judged are left out."""
        wanted = select(Table.__table__).where(Table.anomaly_id.in_(list(anomaly_ids)))
        return {row.anomaly_id: msgspec.convert(row._asdict(), Verdict) for row in await self._rows(wanted)}

    async def precision(
        self, site: str | None = None, device: str | None = None
    ) -> dict[tuple[str, str, str], Precision]:
        """Per (site, device, version): how its alarms were judged, of everybody, one site or one device."""
        counted = (
            select(Table.site, Table.device, Table.model_version, Table.verdict, func.count())
            .join(Anomaly, Anomaly.anomaly_id == Table.anomaly_id)
            .where(_of_a_model)
            .group_by(Table.site, Table.device, Table.model_version, Table.verdict)
        )
        counted = counted if site is None else counted.where(Table.site == site)
        counted = counted if device is None else counted.where(Table.device == device)
        tally: dict[tuple[str, str, str], dict[str, int]] = {}
        for at_site, at_device, version, verdict, count in await self._rows(counted):
            tally.setdefault((at_site, at_device, version), {})[verdict] = count
        return {key: msgspec.convert(counts, Precision) for key, counts in tally.items()}

    async def episodes(self, site: str, device: str, from_ms: int, through_ms: int) -> list[Episode]:
        """The alarms of a machine that touch this period, by their beginning, with what was said of them."""
        wanted = (
            select(
                Anomaly.anomaly_id, Anomaly.since_ms, Anomaly.cleared_at_ms, Table.verdict, _kind.label("kind"),
                Anomaly.severity, Anomaly.peak_score,
                Anomaly.event["evidence"]["sensors"][0]["name"].astext.label("sensor"),
            )
            .outerjoin(Table, Table.anomaly_id == Anomaly.anomaly_id)
            .where(Anomaly.site == site, Anomaly.device == device, Anomaly.since_ms <= through_ms)
            .where(Anomaly.cleared_at_ms.is_(None) | (Anomaly.cleared_at_ms >= from_ms))
            .order_by(Anomaly.since_ms, Anomaly.anomaly_id)
        )  # fmt: skip
        return [msgspec.convert(row._asdict(), Episode) for row in await self._rows(wanted)]

    async def confirmed(self, site: str, *, limit: int) -> list[Confirmed]:
        """The newest `limit` true alarms of a site whose fault is named."""
        wanted = (
            select(Anomaly.event, Table.cause)
            .join(Table, Table.anomaly_id == Anomaly.anomaly_id)
            .where(Table.site == site, Table.verdict == Judgement.TRUE, Table.cause.is_not(None), _of_a_model)
            .order_by(Anomaly.serial.desc())
            .limit(limit)
        )
        return [msgspec.convert(row._asdict(), Confirmed) for row in await self._rows(wanted)]

    async def _rows(self, query: Select[*tuple[Any, ...]]) -> list[Any]:
        async with self._database.begin() as connection:
            return list(await connection.execute(query))
