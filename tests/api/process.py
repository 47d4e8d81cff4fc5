"""One API process of several: `python -m tests.api.process DATABASE_URL REDIS_URL FOLDER LIMIT`; prints its port.

On a real store and a real Redis, with a bus in memory. It ends when its standard input is closed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
import sys
import uuid
from dataclasses import replace
from pathlib import Path

import uvicorn

from broker.memory import MemoryBroker
from cloud.api.app import create_api
from cloud.storage.database import Database
from tests.api.conftest import parts_on


async def main(database_url: str, redis_url: str, folder: str, limit: str) -> None:
    """Serve until nobody needs us."""
    database = Database(database_url)
    await database.open()
    async with MemoryBroker().bus("web", persistent=False) as bus:
        parts = parts_on(database, bus, Path(folder), lambda: uuid.uuid4().hex)
        app = create_api(replace(parts, redis_url=redis_url, rate_limit_per_minute=int(limit)))
        server = uvicorn.Server(uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=1))
        server.capture_signals = contextlib.nullcontext  # type: ignore[assignment, method-assign]
        listening = socket.create_server(("127.0.0.1", 0))
        serving = asyncio.create_task(server.serve([listening]))
        while not server.started:
            await asyncio.sleep(0.01)
        print(listening.getsockname()[1], flush=True)
        await asyncio.to_thread(sys.stdin.read)
        server.should_exit = True
        await serving
    await database.close()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
