"""Where the plant's processes run, and the lines between them."""

from __future__ import annotations

import contextlib
from pathlib import Path
from random import Random

from tests.faults.processes import Process
from tests.faults.proxy import Proxy


class Ground:
    """Ends what was begun here, the last one first, when `stack` is closed."""

    def __init__(self, folder: Path, rng: Random) -> None:
        self.folder, self._rng = folder, rng
        self.stack = contextlib.AsyncExitStack()
        # Those of Ronda, and those of others that are ours to kill.
        self.processes: dict[str, Process] = {}
        self.others: dict[str, Process] = {}

    async def begin(self, process: Process, *, of_ronda: bool = True) -> None:
        """Start it, and again when it dies."""
        (self.processes if of_ronda else self.others)[process.part] = process
        self.stack.push_async_callback(process.stop)
        await process.start()

    async def line(self, port: int, host: str = "127.0.0.1") -> Proxy:
        """A line to that port, which may be bad."""
        return await self.stack.enter_async_context(Proxy(port, self._rng, host))
