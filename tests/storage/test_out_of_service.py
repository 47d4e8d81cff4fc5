"""A database that is there and takes nothing for a while: that passes, and nothing of ours is at fault."""

from __future__ import annotations

import asyncpg
import pytest
from sqlalchemy import text

from cloud.storage.database import Database
from contract.errors import TransientError


async def administered(database_url: str, *statements: str) -> None:
    """By somebody on another database of the server."""
    connection = await asyncpg.connect(f"{database_url.rpartition('/')[0]}/postgres", ssl=False)
    for statement in statements:
        await connection.execute(statement.format(name=database_url.rpartition("/")[2]))
    await connection.close()


async def written(database_url: str) -> None:
    """Connect anew, and change something."""
    database = Database(database_url)
    try:
        await database.open()
        async with database.begin() as connection:
            await connection.execute(text("DELETE FROM readings"))
    finally:
        await database.close()


@pytest.mark.parametrize(
    ("out", "back"),
    [
        ("ALTER DATABASE {name} SET default_transaction_read_only = on",
         "ALTER DATABASE {name} RESET default_transaction_read_only"),
        ("ALTER DATABASE {name} ALLOW_CONNECTIONS false", "ALTER DATABASE {name} ALLOW_CONNECTIONS true"),
    ],
    ids=["read-only", "closed"],
)  # fmt: skip
async def test_who_is_refused_for_a_while_may_try_again(database_url: str, out: str, back: str) -> None:
    await administered(database_url, out)
    with pytest.raises(TransientError):
        await written(database_url)
    await administered(database_url, back)
    await written(database_url)
