"""A migration in a process of its own that dies at its n-th statement: `python -m tests.faults.migrating URL N`."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from typing import Any

from sqlalchemy import Engine, event

from cloud.storage.database import Database


def die_at(nth: int) -> None:
    """Kill -9 before that statement is sent."""
    left = nth

    def before(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        nonlocal left
        left -= 1
        if left == 0:
            print(" ".join(statement.split())[:80], flush=True)
            os.kill(os.getpid(), signal.SIGKILL)

    event.listen(Engine, "before_cursor_execute", before)


async def _migrate(url: str) -> None:
    database = Database(url)
    await database.open()
    await database.migrate()
    await database.close()


if __name__ == "__main__":
    die_at(int(sys.argv[2]))
    asyncio.run(_migrate(sys.argv[1]))
