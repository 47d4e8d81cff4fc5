"""The machines that speak: where they come from, what they measure, and whether they still may."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import msgspec
from sqlalchemy import Row, func, select, update
from sqlalchemy.dialects.postgresql import insert

from cloud.storage.database import Database
from cloud.storage.tables import Device
from contract.plausibility import Metric

# A device that nobody added by name got its password from `device add`, or it could not have spoken.
_UNNAMED_ORIGIN = "provisioned"
# Machines of a past that was made up: nobody waits for their readings, and nothing is learned from them by itself.
SEED_ORIGIN = "seed"


class DeviceRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A device as registered. `metrics` None: its first reading will tell; `learn_rows` None: the usual number."""

    site: str
    device: str
    origin: str
    metrics: list[Metric] | None
    learn_rows: int | None
    created_at_ms: int
    revoked_at_ms: int | None


class DeviceStore:
    """Registers devices and their metrics."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def ensure(
        self,
        site: str,
        device: str,
        origin: str,
        *,
        now_ms: int,
        metrics: Sequence[Metric] | None = None,
        learn_rows: int | None = None,
    ) -> DeviceRecord:
        """Register the device unless it is there; what is there stays as it is. Returns what is registered."""
        new = insert(Device).values(
            site=site,
            device=device,
            origin=origin,
            metrics=_plain(metrics),
            learn_rows=learn_rows,
            created_at_ms=now_ms,
        )
        async with self._database.begin() as connection:
            await connection.execute(new.on_conflict_do_nothing())
            return _record((await connection.execute(_one(site, device))).one())

    async def get(self, site: str, device: str) -> DeviceRecord | None:
        """The device as registered, or None."""
        async with self._database.begin() as connection:
            row = (await connection.execute(_one(site, device))).one_or_none()
        return None if row is None else _record(row)

    async def all(self) -> list[DeviceRecord]:
        """All devices, revoked ones included, by site and name."""
        async with self._database.begin() as connection:
            rows = await connection.execute(select(Device.__table__).order_by(Device.site, Device.device))
        return [_record(row) for row in rows]

    async def metrics(self, site: str, device: str) -> list[Metric] | None:
        """What the device measures, in the order of the stored values; None before its first reading."""
        record = await self.get(site, device)
        return None if record is None else record.metrics

    async def register_metrics(self, site: str, device: str, metrics: Sequence[Metric], *, now_ms: int) -> list[Metric]:
        """Register what the device measures unless that is known; of several at once the first wins.

        Returns the metrics in force, which are those to check against.
        """
        new = insert(Device).values(
            site=site, device=device, origin=_UNNAMED_ORIGIN, metrics=_plain(metrics), created_at_ms=now_ms
        )
        first_wins = new.on_conflict_do_update(
            index_elements=[Device.site, Device.device],
            set_={Device.metrics: func.coalesce(Device.metrics, new.excluded.metrics)},
        )
        async with self._database.begin() as connection:
            in_force = await connection.scalar(first_wins.returning(Device.metrics))
        return msgspec.convert(in_force, list[Metric])

    async def change_metrics(self, site: str, device: str, changes: Sequence[Metric]) -> list[Metric] | None:
        """Put these in the place of those of the same names, new names behind: the order of stored values stays.

        Returns what is registered now; None when the device is not.
        """
        async with self._database.begin() as connection:
            row = (await connection.execute(_one(site, device).with_for_update())).one_or_none()
            if row is None:
                return None
            merged = {metric.name: metric for metric in [*(_record(row).metrics or []), *changes]}
            await connection.execute(_change(site, device).values(metrics=_plain(list(merged.values()))))
        return list(merged.values())

    async def revoke(self, site: str, device: str, *, now_ms: int) -> bool:
        """The device may no longer speak. Returns whether it could until now."""
        change = _change(site, device).where(Device.revoked_at_ms.is_(None)).values(revoked_at_ms=now_ms)
        async with self._database.begin() as connection:
            return (await connection.execute(change)).rowcount > 0

    async def reinstate(self, site: str, device: str) -> bool:
        """A revoked device may speak again. Returns whether it was revoked."""
        change = _change(site, device).where(Device.revoked_at_ms.is_not(None)).values(revoked_at_ms=None)
        async with self._database.begin() as connection:
            return (await connection.execute(change)).rowcount > 0


def _one(site: str, device: str) -> Any:
    return select(Device.__table__).where(Device.site == site, Device.device == device)


def _change(site: str, device: str) -> Any:
    return update(Device).where(Device.site == site, Device.device == device)


def _plain(metrics: Sequence[Metric] | None) -> Any:
    return [_finite(msgspec.to_builtins(metric)) for metric in metrics] if metrics else None


def _finite(metric: dict[str, Any]) -> dict[str, Any]:
    """JSON has no infinity; a bound that is not there means the same."""
    return {name: value for name, value in metric.items() if value not in (-math.inf, math.inf)}


def _record(row: Row[Any]) -> DeviceRecord:
    return msgspec.convert(row._asdict(), DeviceRecord)
