"""What the database does for a question that the store asks: the partitions it opens, and how it reads them."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import msgspec
from sqlalchemy import event, text

from cloud.storage.database import Database

# Partitions of ours, chunks of TimescaleDB's.
_OURS = ("readings", "_hyper_")


class Plan(msgspec.Struct, frozen=True):
    """Which parts of the readings were opened, by which kinds of scan, and how long it took."""

    opened: frozenset[str]
    scans: frozenset[str]
    took_ms: float


async def plan_of(database: Database, ask: Callable[[], Awaitable[object]], *, as_if_large: bool = False) -> Plan:
    """Run `ask`, and what it asked about readings once more under EXPLAIN ANALYZE.

    `as_if_large`: read whole only what has no index, though the tables of a test are so small that reading is cheaper.
    """
    heard: list[tuple[str, Any]] = []

    def hear(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        if "readings" in statement:
            heard.append((statement, parameters))

    engine = database._engine.sync_engine
    event.listen(engine, "before_cursor_execute", hear)
    try:
        await ask()
    finally:
        event.remove(engine, "before_cursor_execute", hear)
    [(statement, parameters)] = heard
    async with database.begin() as connection:
        if as_if_large:
            await connection.execute(text("SET LOCAL enable_seqscan = off"))
        explain = f"EXPLAIN (ANALYZE, FORMAT JSON) {statement}"
        [document] = (await connection.exec_driver_sql(explain, parameters)).scalar_one()
    nodes = [node for node in _nodes(document["Plan"]) if str(node.get("Relation Name", "")).startswith(_OURS)]
    run = [node for node in nodes if node["Actual Loops"]]
    return Plan(
        opened=frozenset(node["Relation Name"] for node in run),
        scans=frozenset(node["Node Type"] for node in run),
        took_ms=document["Planning Time"] + document["Execution Time"],
    )


async def parts(database: Database) -> int:
    """How many partitions or chunks of readings there are."""
    counted = text("SELECT count(*) FROM pg_inherits WHERE inhparent = 'readings'::regclass")
    async with database.begin() as connection:
        return int(await connection.scalar(counted) or 0)


def _nodes(plan: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield plan
    for child in plan.get("Plans", ()):
        yield from _nodes(child)
