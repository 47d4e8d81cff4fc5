"""A reading on its way through the gateway: as it came in, as it lies in the outbox, and why another was refused."""

from __future__ import annotations

import enum
from typing import NamedTuple

import msgspec

from contract.errors import Reason
from contract.events import Watermark


class Mark(msgspec.Struct, frozen=True):
    """What is said of a message as a whole. `whole`: its bytes go on as they came, for the cloud to refuse."""

    replayed: bool = False
    traced: bool = False
    correlation_id: str | None = None
    whole: bool = False

    @property
    def flags(self) -> int:
        """As the outbox keeps it."""
        return self.replayed | self.traced << 1 | self.whole << 2

    @classmethod
    def of(cls, flags: int, correlation_id: str | None) -> Mark:
        """The reverse of `flags`."""
        return cls(bool(flags & 1), bool(flags & 2), correlation_id, bool(flags & 4))


PLAIN = Mark()


class Arrival(msgspec.Struct, frozen=True):
    """A reading as it came in; without `boot` and `seq` the gateway counts it. `body`: its values as JSON.

    `oldest`: the lowest seq of this boot that the device itself still holds.
    """

    device: str
    boot: str | None
    seq: int | None
    measured_at_ms: int
    body: bytes
    mark: Mark = PLAIN
    oldest: int | None = None


class Counted(msgspec.Struct, frozen=True):
    """A reading that was kept for the first time, with its number."""

    arrival: Arrival
    boot: str
    seq: int


class Held(msgspec.Struct, frozen=True):
    """A reading in the outbox; `n` counts all that was ever kept, in the order in which it came."""

    n: int
    boot: int
    seq: int
    measured_at_ms: int
    arrived_at_ms: int
    mark: Mark
    body: bytes


class Batch(msgspec.Struct, frozen=True):
    """Readings that travel in one message: of one boot and with one mark, oldest first."""

    device: str
    boot: str
    oldest: int | None
    rows: list[Held]


class Refusal(msgspec.Struct, frozen=True):
    """A message, or a part of one, that is no reading."""

    topic: str
    reason: Reason
    detail: str
    payload: bytes


class Kept(NamedTuple):
    """What arrivals came to: each device's first and last reading, those that are new, and the watermark of who sent
    what is stored already.
    """

    spans: dict[str, tuple[int, int]]
    counted: list[Counted]
    again: dict[str, Watermark]


class Freed(NamedTuple):
    """What watermarks came to: for each device the lowest reading still held, 0 for none; and those to be passed on.

    A device that counts by itself waits for them.
    """

    readings: int
    first: dict[str, int]
    awaited: list[tuple[str, Watermark]]


class Dropped(enum.StrEnum):
    """Why a reading was given up before the store had it."""

    ROWS = "rows"
    BYTES = "bytes"
    AGE = "age"
