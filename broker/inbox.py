"""Messages that came in and were not taken yet: a bounded queue between a socket and whoever works."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

from broker.bus import Message

# Beyond either the socket is not read, and TCP holds the broker back.
MAX_UNREAD = 10_000
MAX_UNREAD_BYTES = 64 * 1024 * 1024


class Inbox:
    """Closed until its connection is the bus's own: what is taken earlier could not be acknowledged."""

    def __init__(self) -> None:
        self.filled = asyncio.Event()
        self._open = False
        self._messages: deque[Message] = deque()
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._messages)

    @property
    def full(self) -> bool:
        """Must the socket rest?"""
        return len(self._messages) >= MAX_UNREAD or self._bytes >= MAX_UNREAD_BYTES

    def add(self, messages: Sequence[Message]) -> None:
        """Append what arrived, in its order."""
        self._messages.extend(messages)
        self._bytes += sum([len(message.payload) for message in messages])
        if self._open:
            self.filled.set()

    def open(self) -> None:
        """From here on messages may be taken."""
        self._open = True
        if self._messages:
            self.filled.set()

    def take(self, limit: int) -> list[Message]:
        """The oldest messages, at most `limit`."""
        if not self._open:
            return []
        pop = self._messages.popleft
        taken = [pop() for _ in range(min(limit, len(self._messages)))]
        self._bytes -= sum([len(message.payload) for message in taken])
        if not self._messages:
            self.filled.clear()
        return taken

    def forget(self) -> None:
        """The connection is gone: its messages come again on the next one."""
        self._messages.clear()
        self._bytes = 0
        self._open = False
        self.filled.clear()
