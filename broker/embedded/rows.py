"""What stands in the broker's log."""

from __future__ import annotations

from typing import NamedTuple, Protocol


class Row(NamedTuple):
    """One message in one client's queue."""

    seq: int
    topic: str
    payload: bytes
    retain: bool


class StoredSession(NamedTuple):
    """A durable session as the log knows it; `head` was the first message when it was last sent `attempts` times."""

    client: str
    number: int
    user: str
    head: int
    attempts: int
    seen_s: float


class Queue(Protocol):
    """What the log tells a client's queue once its rows are on disk, or cannot be."""

    number: int

    def committed(self, row: Row) -> None: ...

    def failed(self, row: Row) -> None: ...
