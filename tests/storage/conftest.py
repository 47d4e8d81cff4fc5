"""Every test here talks to a real PostgreSQL, and where one is offered to a TimescaleDB as well."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import timescale
from tests.support.database import database, database_url, embedded, empty_url, make_template

__all__ = ["database", "database_url", "empty_url"]

_SERVERS = ["partitions", *(["hypertable"] if timescale.is_offered() else [])]


@pytest.fixture(scope="session", params=_SERVERS)
def postgres(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of the server; its database `ronda` is migrated and only serves as a template."""
    if request.param == "partitions":
        yield from embedded(Path(tmp_path_factory.mktemp("postgres")))
    else:
        yield asyncio.run(_on_timescale())


async def _on_timescale() -> str:
    url = await timescale.own_role()
    await make_template(url)
    await timescale.keep_out()
    return url


@pytest.fixture
def layout(request: pytest.FixtureRequest, postgres: str) -> str:
    """How this server keeps readings."""
    return str(request.node.callspec.params["postgres"])
