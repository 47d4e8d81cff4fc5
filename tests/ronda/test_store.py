from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from ronda.settings import Settings
from ronda.store import opened_store
from tests.support.database import database_url, empty_url, postgres

__all__ = ["database_url", "empty_url", "postgres"]


async def test_a_process_opens_as_many_connections_as_the_settings_allow(database_url: str) -> None:
    settings = Settings(database_pool_size=2)
    async with opened_store(database_url, settings) as store, store.begin() as one, store.begin() as other:
        pids = [await connection.scalar(text("SELECT pg_backend_pid()")) for connection in (one, other)]
        assert len(set(pids)) == 2
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.2), store.begin():
                pass


async def test_a_store_that_was_opened_has_its_tables(empty_url: str) -> None:
    async with opened_store(empty_url, Settings()) as store, store.begin() as connection:
        assert await connection.scalar(text("SELECT count(*) FROM readings")) == 0
