"""The campaign itself: what could not be done to the plant is told, and is no fault that was survived."""

from __future__ import annotations

from typing import Any

import asyncpg

from tests.faults.campaign import campaign
from tests.faults.fault import Fault, Hit
from tests.faults.field import Field


class Idle(Field):
    """Nobody sends."""

    def __init__(self, url: str) -> None:
        super().__init__(seed=1)
        self._url = url

    async def sql(self) -> asyncpg.Connection[Any]:
        return await asyncpg.connect(self._url, ssl=False)

    async def ledger(self) -> dict[str, dict[str, int]]:
        return {}


async def never(_: Field) -> Hit:
    """A time-out of asyncio's has no words."""
    raise TimeoutError


async def test_a_fault_that_was_not_reached_in_time_is_a_complaint(database: object, database_url: str) -> None:
    del database  # its tables are needed
    result = await campaign(Idle(database_url), [Fault("never", never)], print)
    assert result.complaints == ["never: TimeoutError while it was done to the plant"]
