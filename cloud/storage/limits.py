"""The limits that people and standards set for machines: few, read often, replaced as a whole."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, delete, select
from sqlalchemy.dialects.postgresql import insert

from cloud.storage.database import Database
from cloud.storage.tables import DeviceLimit as Table
from detection.episode import Severity
from detection.limit import Limit

Address = tuple[str, str]
_ORDER = (Table.site, Table.device, Table.metric, Table.severity.desc(), Table.source)


class LimitStore:
    """Reads and replaces the limits of machines."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def of(self, site: str, device: str) -> list[Limit]:
        """One machine's, by metric, warnings first."""
        wanted = select(Table.__table__).where(Table.site == site, Table.device == device).order_by(*_ORDER)
        async with self._database.begin() as connection:
            return [_limit(row) for row in await connection.execute(wanted)]

    async def all(self) -> dict[Address, list[Limit]]:
        """Every machine's that has any, by (site, device)."""
        found: dict[Address, list[Limit]] = {}
        async with self._database.begin() as connection:
            for row in await connection.execute(select(Table.__table__).order_by(*_ORDER)):
                found.setdefault((row.site, row.device), []).append(_limit(row))
        return found

    async def replace(self, site: str, device: str, limits: Sequence[Limit]) -> None:
        """These and no others from now on. Of two for the same metric, severity and source the later one counts."""
        new = insert(Table)
        columns = {name: new.excluded[name] for name in ("low", "high", "label")}
        keys = [Table.site, Table.device, Table.metric, Table.severity, Table.source]
        async with self._database.begin() as connection:
            await connection.execute(delete(Table).where(Table.site == site, Table.device == device))
            for limit in limits:
                row = _row(site, device, limit)
                await connection.execute(new.on_conflict_do_update(index_elements=keys, set_=columns), row)


def _row(site: str, device: str, limit: Limit) -> dict[str, Any]:
    return {
        "site": site,
        "device": device,
        "metric": limit.metric,
        "low": limit.low,
        "high": limit.high,
        "severity": limit.severity.value,
        "source": limit.source,
        "label": limit.label or None,
    }


def _limit(row: Row[Any]) -> Limit:
    return Limit(
        metric=row.metric,
        low=row.low,
        high=row.high,
        severity=Severity(row.severity),
        source=row.source,
        label=row.label or "",
    )
