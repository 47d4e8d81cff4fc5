"""The outbox's one writer: a thread that does what it is asked in the order asked, while the lines go on."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


class Desk:
    """Runs blocking work on the outbox, one piece after the other."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="outbox")

    async def do(self, work: Callable[[], T]) -> T:
        """Let the thread do it; a caller that is cancelled meanwhile does not stop it half-way."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def stop(self) -> None:
        """Wait for what was asked, and let the thread go."""
        self._thread.shutdown()
