"""Work that goes on beside the requests: begun when the API starts, ended with it."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from types import TracebackType


class Background:
    """One task, from `_begin`, which `__aenter__` calls when all is ready, until the block is left."""

    _task: asyncio.Task[None] | None = None

    def _begin(self, work: Coroutine[object, object, None], name: str) -> None:
        self._task = asyncio.create_task(work, name=name)

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
