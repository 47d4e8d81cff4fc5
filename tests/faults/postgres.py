"""PostgreSQL of the plant: started again when it dies, as `ronda up` does."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import asyncpg

from cloud.storage.postgres import EmbeddedPostgres
from contract.errors import RondaError
from tests.faults.field import READY_WITHIN_S

_AGAIN_S = 0.3


class Postgres:
    """`async with` starts it. `runs` is for those that kill it to clear."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self._server = EmbeddedPostgres(folder, settings={"max_connections": "60"})
        self._keeper: asyncio.Task[None] | None = None
        self.runs = asyncio.Event()
        self.url = ""

    async def __aenter__(self) -> Self:
        self.url = await self._server.start()
        self.runs.set()
        self._keeper = asyncio.create_task(self._keep())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        await self._server.stop()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2].partition("/")[0])

    @property
    def pid(self) -> int:
        """Of its first process."""
        assert self._server._server is not None
        return self._server._server.pid

    async def connect(self, database: str = "ronda") -> asyncpg.Connection[Any]:
        """A connection past everything of ours; to be closed. Waits until the server lets us in."""
        url = f"{self.url.rpartition('/')[0]}/{database}"
        async with asyncio.timeout(READY_WITHIN_S):
            while True:
                await self.runs.wait()
                try:
                    return await asyncpg.connect(url, ssl=False)
                except (OSError, asyncpg.CannotConnectNowError, asyncpg.PostgresConnectionError):
                    await asyncio.sleep(_AGAIN_S)

    async def _keep(self) -> None:
        while True:
            await self._server.wait()
            self.runs.clear()
            with contextlib.suppress(RondaError):
                await self._server.start()
                self.runs.set()
            await asyncio.sleep(_AGAIN_S)
