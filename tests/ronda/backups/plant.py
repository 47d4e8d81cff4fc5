"""A plant's database with every kind of value, its registry with a real model, and its passwords."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import asyncpg

from cloud.models.registry import Provenance, Registry
from cloud.storage.promotions import Promotion
from detection.fit import fit
from tests.support.machines import METRICS, healthy, times


class Plant(NamedTuple):
    """A data folder, its database, its one promoted model, and a backup of all."""

    data: Path
    url: str
    promotion: Promotion
    backup: Path


MADE = Provenance(code_version="test", made_at_ms=1_763_900_000_000)
# Months apart, and one before any partition that is made ahead.
DAYS_MS = (951_800_000_000, 1_760_000_000_000, 1_763_900_000_000)
AWKWARD = "a\tb\nc\\d \"e\" 'f' \\N é →"


def learn(registry: Registry, device: str = "pump-01") -> Promotion:
    """A model of one machine, registered and champion."""
    model = registry.register("plant-1", device, fit(healthy(300), times(300), METRICS), MADE)
    registry.promote("plant-1", device, model.version)
    return model.promotion(MADE.made_at_ms)


async def fill(url: str, promotion: Promotion | None = None, readings: int = 3_000) -> None:
    """Rows in most tables, with what a text format could get wrong."""
    connection = await asyncpg.connect(url)
    try:
        await _readings(connection, readings)
        await connection.execute(
            "INSERT INTO devices VALUES ('plant-1', 'pump-01', 'emulator', $1, 1, 2, NULL)",
            '[{"name": "temperature", "unit": "°C"}]',
        )
        await connection.execute(
            "INSERT INTO boots VALUES ('plant-1', 'pump-01', 'b', '{[0,17),[20,30)}', 17, 2, 0, 5),"
            "('plant-1', 'pump-02', 'b', '{}', 0, 0, 0, 5)"
        )
        await connection.execute(
            "INSERT INTO rejected VALUES ('r', 's', 'd', NULL, NULL, 'validation', 'why', $1, 't', $2, 1, NULL)",
            AWKWARD,
            bytes(range(256)),
        )
        await connection.execute(
            "INSERT INTO hops VALUES ('h', 'c', 's', 'd', 'device', 'published', 1763900000000.123, 1, $1)",
            '{"a": [1, null, "\\u00e9\\n"]}',
        )
        await connection.execute(
            "INSERT INTO outbox (id, kind, topic, payload, created_at_ms) SELECT n::text, 'k', 't', '', n "
            "FROM generate_series(1, 5) AS n"
        )
        await connection.execute("INSERT INTO users VALUES ('admin', 'hash', '{data:read,x}', '{\"plant-1/*\"}', 1)")
        if promotion is not None:
            await _promote(connection, promotion)
    finally:
        await connection.close()


async def _readings(connection: asyncpg.Connection[Any], count: int) -> None:
    rows = [
        (
            "plant-1", "pump-01", f"boot-{n % 3}", n, DAYS_MS[n % 3] + n, DAYS_MS[n % 3] + n + 1,
            [n / 3, None, float("nan"), float("-inf"), 5e-324][: n % 6], n % 2 == 0, AWKWARD if n % 7 == 0 else None,
        )
        for n in range(count)
    ]  # fmt: skip
    if await connection.fetchval("SELECT to_regprocedure('readings_make_room(bigint[])') IS NOT NULL"):
        await connection.execute("SELECT readings_make_room($1)", [day // 86_400_000 for day in DAYS_MS])
    await connection.copy_records_to_table("readings", records=rows)


async def _promote(connection: asyncpg.Connection[Any], promotion: Promotion) -> None:
    await connection.execute(
        "INSERT INTO promotions (site, device, version, name, run_id, sha256, data_hash, artifact_uri, rows, "
        "trained_from_ms, trained_through_ms, promoted_at_ms) VALUES ($1,$2,$3,$4,$5,$6,$7,$8,$9,$10,$11,$12)",
        promotion.site, promotion.device, promotion.version, promotion.name, promotion.run_id, promotion.sha256,
        promotion.data_hash, promotion.artifact_uri, promotion.rows, promotion.trained_from_ms,
        promotion.trained_through_ms, promotion.promoted_at_ms,
    )  # fmt: skip
    if await connection.fetchval("SELECT to_regclass('model_versions') IS NOT NULL"):
        await connection.execute(
            "INSERT INTO model_versions SELECT site, device, version, name, run_id, sha256, data_hash, artifact_uri, "
            "rows, trained_from_ms, trained_through_ms, promoted_at_ms, 0.01, 2.5, 'test', 'champion' FROM promotions"
        )


async def rows_of(url: str, table: str) -> list[str]:
    """Every row of a table as text, in no order of its own."""
    connection = await asyncpg.connect(url)
    try:
        return sorted(row[0] for row in await connection.fetch(f'SELECT t::text FROM "{table}" AS t'))
    finally:
        await connection.close()


async def tables_of(url: str) -> list[str]:
    """Every table but the partitions."""
    connection = await asyncpg.connect(url)
    try:
        found = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p') "
            "AND NOT relispartition"
        )
        return sorted(row[0] for row in found)
    finally:
        await connection.close()


def files_of(folder: Path) -> dict[str, bytes]:
    """Every file below a folder, with its bytes."""
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
