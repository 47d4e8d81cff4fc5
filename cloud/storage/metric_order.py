"""In which order the values of a device are stored: that of its registered metrics, which are only ever appended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from cloud.storage.ingest_rows import DeviceKey
from cloud.storage.ingest_sql import Connection
from contract.events import ValidatedDataEvent


async def metric_order(connection: Connection, events: Sequence[ValidatedDataEvent]) -> dict[DeviceKey, list[str]]:
    """The metric names of each event's device in stored order.

    Metrics are registered before a reading gets here; one that is not is appended rather than lost.
    """
    used: dict[DeviceKey, dict[str, int]] = {}
    for event in events:
        names = used.setdefault(DeviceKey(event.site, event.device), {})
        names.update(dict.fromkeys(event.metrics, event.received_at_ms))
    order = await _registered(connection, sorted(used))
    missing = {key: names for key, names in used.items() if not names.keys() <= set(order.get(key, ()))}
    for key in sorted(missing):
        order[key] = await _append(connection, key, missing[key])
    return order


async def _registered(connection: Connection, keys: Sequence[DeviceKey]) -> dict[DeviceKey, list[str]]:
    rows = await connection.fetch(
        """
        SELECT site, device, metrics::text
        FROM devices JOIN unnest($1::text[], $2::text[]) AS wanted (site, device) USING (site, device)
        """,
        [key.site for key in keys],
        [key.device for key in keys],
    )
    return {DeviceKey(site, device): _names(metrics) for site, device, metrics in rows}


async def _append(connection: Connection, key: DeviceKey, names: Mapping[str, int]) -> list[str]:
    await connection.execute(
        """
        INSERT INTO devices (site, device, origin, created_at_ms) VALUES ($1, $2, 'provisioned', $3)
        ON CONFLICT DO NOTHING
        """,
        *key,
        min(names.values()),
    )
    kept = await connection.fetchval(
        "SELECT metrics::text FROM devices WHERE site = $1 AND device = $2 FOR UPDATE", *key
    )
    new = [name for name in names if name not in _names(kept)]
    appended = msgspec.json.encode([{"name": name} for name in new]).decode()
    await connection.execute(
        "UPDATE devices SET metrics = coalesce(metrics, '[]') || $3::text::jsonb WHERE site = $1 AND device = $2",
        *key,
        appended,
    )
    return [*_names(kept), *new]


class _Name(msgspec.Struct):
    name: str


def _names(metrics: str | None) -> list[str]:
    return [metric.name for metric in msgspec.json.decode(metrics, type=list[_Name])] if metrics else []
