"""The device's ring: keeps every reading until the store has it, and says what to send next.

The broker's acknowledgement frees nothing: only the watermark does, which the store publishes after its commit. So
whatever is lost on the way is still here and is sent again, and the identity (boot, seq) absorbs what arrives twice.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from itertools import islice

import msgspec

from contract.events import Watermark

# The watermark comes about once a second; ten times that without one, while readings are under way, means that
# something on the way died. Doubled up to five minutes while nothing moves, so as not to flood what is being repaired.
STALL_MS = 10_000
MAX_STALL_MS = 300_000


class Mark(msgspec.Struct, frozen=True):
    """What is said of a message as a whole: back-fill, traced, and the id that its sender gave it."""

    replayed: bool = False
    traced: bool = False
    correlation_id: str | None = None


PLAIN = Mark()
BACKFILL = Mark(replayed=True)


class Held(msgspec.Struct, frozen=True):
    """A reading in the ring; `values` in the order of the device's metrics."""

    seq: int
    measured_at_ms: int
    values: Sequence[float]
    mark: Mark = PLAIN


class Buffer:
    """The readings of one boot, bounded: when it is full the oldest one is dropped, counted, and reported as lost.

    `through` is the watermark: everything up to it was stored or accounted for. One that goes back is that of a store
    restored from a backup, or an old one that came late: what is held goes again, and what is not is told as gone,
    which changes nothing where it is stored. All `at_ms` are times of one clock.
    """

    def __init__(self, boot: str, capacity: int, *, next_seq: int = 0, stall_ms: int = STALL_MS) -> None:
        if capacity < 1:
            raise ValueError(f"a buffer holds at least one reading, not {capacity}")
        self.boot = boot
        self.dropped = 0
        self.next_seq = next_seq
        self.through = self._said = next_seq - 1
        self._capacity = capacity
        self._held: deque[Held] = deque()
        self._cursor = next_seq
        self._moved_at_ms = 0
        self._patience_ms = self._stall_ms = stall_ms

    def __len__(self) -> int:
        return len(self._held)

    @property
    def first(self) -> int:
        """The lowest seq still held, or the next one when nothing is."""
        return self.next_seq - len(self._held)

    @property
    def under_way(self) -> int:
        """How many readings were sent and are not known to be stored."""
        return max(0, self._cursor - self.first)

    @property
    def oldest(self) -> int | None:
        """What the sender reports as `oldest`: `first` while the store misses readings below it, else None."""
        return self.first if self.first > self._said + 1 else None

    def hold(self, measured_at_ms: int, values: Sequence[float], mark: Mark = PLAIN) -> int:
        """Keep a reading; returns the seq it got."""
        if len(self._held) == self._capacity:
            self._held.popleft()
            self.dropped += 1
        seq = self.next_seq
        self._held.append(Held(seq, measured_at_ms, values, mark))
        self.next_seq += 1
        return seq

    def take(self, limit: int, at_ms: int) -> list[Held]:
        """The next readings to send, oldest first, at most `limit`, all with one mark; they count as under way."""
        start = max(self._cursor, self.first)
        if not self.under_way:
            self._moved_at_ms = at_ms
        begin = start - self.first
        batch = list(islice(self._held, begin, begin + limit))
        alike = next((n for n, held in enumerate(batch) if held.mark != batch[0].mark), len(batch))
        self._cursor = start + alike
        return batch[:alike]

    def free(self, watermark: Watermark, at_ms: int) -> int:
        """Delete what the store has; returns how many. Another boot's watermark changes nothing."""
        if watermark.boot != self.boot:
            return 0
        through, before = min(watermark.through, self.next_seq - 1), self._said
        self._said = through
        if through < before:
            self.send_again()
        if through <= self.through:
            return 0
        self.through = through
        freed = max(0, through + 1 - self.first)
        for _ in range(freed):
            self._held.popleft()
        self._moved_at_ms, self._stall_ms = at_ms, self._patience_ms
        return freed

    def send_again(self) -> int:
        """Start over behind the watermark, after a reconnect or a failure to send; returns how many go again."""
        again = self.under_way
        self._cursor = self.first
        return again

    def stalled_in_ms(self, at_ms: int) -> int | None:
        """How long until silence means loss (0: now), or None while nothing is under way."""
        # A clock that was set back would make the patience as long as it was set back.
        self._moved_at_ms = min(self._moved_at_ms, at_ms)
        return max(0, self._moved_at_ms + self._stall_ms - at_ms) if self.under_way else None

    def give_up_waiting(self, at_ms: int) -> int:
        """Nothing was stored for too long: send again, and next time wait twice as long; returns how many go again."""
        self._moved_at_ms = at_ms
        self._stall_ms = min(2 * self._stall_ms, MAX_STALL_MS)
        return self.send_again()
