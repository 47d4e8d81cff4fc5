"""The network between two processes: a TCP proxy that can cut, delay, stall, forget and reorder."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable
from types import TracebackType
from typing import Self

_CHUNK = 64 * 1024


class Proxy:
    """Carries every connection to `port` of the loopback, as badly as it is told to."""

    def __init__(self, port: int, rng: random.Random, host: str = "127.0.0.1") -> None:
        """`host`: where it listens."""
        self.target, self._host = port, host
        # How often somebody came.
        self.came = 0
        self._rng = rng
        self._server: asyncio.Server | None = None
        self._pairs: dict[asyncio.Task[None], list[asyncio.StreamWriter]] = {}
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._refusing = False
        # Seconds to hold back what came in; asked once per chunk, or once per connection where that is to differ.
        self._delay: Callable[[], float] = lambda: 0.0
        self._dies_after: Callable[[], int] | None = None
        self._forgotten: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accepted, self._host, 0)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        self.cut()
        await asyncio.gather(*self._pairs, return_exceptions=True)

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def connections(self) -> int:
        return len(self._pairs)

    def cut(self) -> int:
        """Break every connection; returns how many there were."""
        broken = list(self._pairs.items())
        for task, writers in broken:
            for writer in writers:
                writer.transport.abort()
            task.cancel()
        return len(broken)

    def refuse(self) -> int:
        """Break every connection, and let nobody in until `heal`."""
        self._refusing = True
        return self.cut()

    def stall(self) -> int:
        """Half-open: everybody stays connected, new ones too, and nothing passes until `heal`."""
        self._flowing.clear()
        return len(self._pairs)

    def forget(self) -> int:
        """What a firewall does that lost its memory: those connected now never hear anything again, new ones do."""
        self._forgotten |= set(self._pairs)
        return len(self._forgotten)

    def delay(self, mean_s: float) -> int:
        """Hold back everything that passes, in its order, by a time around the mean."""
        self._delay = lambda: self._rng.uniform(0.3, 1.7) * mean_s
        return len(self._pairs)

    def reorder(self, most_s: float) -> int:
        """Each connection gets a delay of its own for each burst: what was sent later on one overtakes another."""
        self._delay = lambda: self._rng.choice((0.0, 0.0, most_s)) * self._rng.random()
        return len(self._pairs)

    def lose(self, mean_bytes: int) -> int:
        """Each connection breaks after some bytes, in the middle of whatever they are."""
        self._dies_after = lambda: int(self._rng.expovariate(1 / mean_bytes)) + 1
        return len(self._pairs)

    def heal(self) -> None:
        """Carry everything as it comes again, except for connections that were forgotten."""
        self._refusing, self._dies_after = False, None
        self._delay = lambda: 0.0
        self._flowing.set()

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.came += 1
        if self._refusing:
            writer.transport.abort()
            return
        self._pairs[task] = [writer]
        try:
            await self._connect(task, reader, writer)
        except (OSError, asyncio.CancelledError):
            pass
        finally:
            for each in self._pairs.pop(task):
                each.transport.abort()
            self._forgotten.discard(task)

    async def _connect(
        self, task: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        await self._flowing.wait()
        beyond, onward = await asyncio.open_connection("127.0.0.1", self.target)
        self._pairs[task].append(onward)
        ways = [
            asyncio.create_task(self._carry(task, source, sink))
            for source, sink in ((reader, onward), (beyond, writer))
        ]
        try:
            await asyncio.wait(ways, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for way in ways:
                way.cancel()
            await asyncio.gather(*ways, return_exceptions=True)

    async def _carry(self, pair: asyncio.Task[None], source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
        carried = 0
        with contextlib.suppress(OSError):
            while data := await source.read(_CHUNK):
                if pause_s := self._delay():
                    await asyncio.sleep(pause_s)
                await self._flowing.wait()
                if pair in self._forgotten:
                    await asyncio.Event().wait()
                carried += len(data)
                if self._dies_after is not None and carried > (limit := self._dies_after()):
                    sink.write(data[: max(1, limit % len(data))])
                    return
                sink.write(data)
                await sink.drain()
