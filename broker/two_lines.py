"""A bus of two connections: on one a party hears, on the other it speaks.

On a single one a broker's answers to what we publish stand in line behind what it has for us. A party that is behind
does not read on before it has published what it made of what it has, and that is not acknowledged before it reads on:
with more waiting than its inbox holds it would stand still for ever.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from types import TracebackType
from typing import Self

from broker.bus import Line, Message, Promises


class TwoLines:
    """As `broker.bus.Bus` says. `hears` has the session and the will; `speaks` needs neither."""

    def __init__(self, hears: Line, speaks: Line) -> None:
        self._hears, self._speaks = hears, speaks
        self._open = contextlib.AsyncExitStack()

    @property
    def promises(self) -> Promises:
        """Those of the broker behind both."""
        return self._hears.promises

    @property
    def connected(self) -> bool:
        """Can it be heard and spoken on at this moment?"""
        return self._hears.connected and self._speaks.connected

    async def __aenter__(self) -> Self:
        """Connect both. Raises: what either does."""
        async with contextlib.AsyncExitStack() as stack:
            await stack.enter_async_context(self._speaks)
            await stack.enter_async_context(self._hears)
            self._open = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._open.aclose()

    async def subscribe(self, *filters: str) -> None:
        """Ask for these topics at QoS 1, now and after every reconnect."""
        await self._hears.subscribe(*filters)

    async def receive(self, limit: int = 256) -> list[Message]:
        """Wait for at least one message and return what is there, oldest first, at most `limit`."""
        return await self._hears.receive(limit)

    async def acknowledge(self, messages: Sequence[Message]) -> None:
        """Say that the work on `messages` is done; those of an earlier connection are skipped (they come again)."""
        await self._hears.acknowledge(messages)

    async def publish(self, messages: Sequence[tuple[str, bytes]], *, retain: bool = False) -> None:
        """Publish at QoS 1; returns once the broker has acknowledged them all."""
        await self._speaks.publish(messages, retain=retain)
