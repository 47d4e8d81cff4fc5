"""What is sent next: measured now before measured long ago, each device in its turn, and back-fill at a rate.

Pure: it is told what was kept, sent and stored and at what time, and touches neither disk nor line.
"""

from __future__ import annotations

from typing import NamedTuple

from edge.buffer import MAX_STALL_MS, STALL_MS

# Readings in a message: beyond it the chain gets no faster, and a device's turn stays short.
BATCH = 50
# Messages under way at once: a thousand readings, a fraction of a second on any line.
PIPELINE = 20
# Back-fill that was saved up while nothing was to be sent.
_BURST_S = 1.0


class Turn(NamedTuple):
    """Send of this device what was kept after `after`, up to and with `until`, at most `limit` readings.

    `epoch`: what its lane had when the turn was given; one that started over since then has not been sent it.
    """

    device: str
    after: int
    until: int
    limit: int
    live: bool
    epoch: int = 0


class Lane:
    """How far one device's readings are: numbers of the outbox, which rise in the order of arrival.

    Two parts are sent, each in its order: back-fill, from `back` to `until`, and what follows, from `live` to `newest`.
    `first` is the lowest one held, 0 for none.
    """

    def __init__(self, device: str, first: int = 0, newest: int = 0) -> None:
        self.device, self.first, self.newest = device, first, newest
        self.back = self.until = self.live = max(0, first - 1)
        self.moved_at_ms, self.stall_ms, self.epoch = 0, STALL_MS, 0

    @property
    def has_live(self) -> bool:
        """Is there something that is sent at once?"""
        return self.newest > self.live

    @property
    def has_back(self) -> bool:
        """Is there back-fill?"""
        return self.until > self.back

    @property
    def waits(self) -> bool:
        """Were readings sent that the watermark could move by? What was sent ahead of back-fill cannot move it."""
        return 0 < self.first <= (self.back if self.has_back else max(self.back, self.live))

    def start_over(self, late: int) -> None:
        """Send all again that is held; what was kept up to and with `late` is back-fill."""
        self.back = max(0, self.first - 1)
        self.until = max(self.back, min(late, self.newest))
        self.live = self.until
        self.epoch += 1

    def fall_behind(self, late: int) -> None:
        """What was to be sent at once has waited too long, up to and with `late`: it is back-fill."""
        if not self.has_back:
            self.back = self.live
        self.until = self.live = max(self.live, min(late, self.newest))

    def sent(self, turn: Turn, last: int | None, now_ms: int) -> None:
        """A turn is over: `last` was sent, or nothing was left (None)."""
        if turn.epoch != self.epoch:
            return
        waited = self.waits
        reached = turn.until if last is None else last
        if turn.live:
            self.live = max(self.live, reached)
        else:
            self.back = max(self.back, reached)
        if not waited:
            self.moved_at_ms = now_ms

    def stalled_in_ms(self, now_ms: int) -> int | None:
        """How long until silence means loss (0: now); None while nothing is under way."""
        # A clock that was set back would make the patience as long as it was set back.
        self.moved_at_ms = min(self.moved_at_ms, now_ms)
        return max(0, self.moved_at_ms + self.stall_ms - now_ms) if self.waits else None

    def stored(self, first: int, now_ms: int) -> None:
        """The watermark came; `first` is the lowest reading still held."""
        if first != self.first:
            self.moved_at_ms, self.stall_ms = now_ms, STALL_MS
        self.first = first

    def give_up_waiting(self, late: int, now_ms: int) -> None:
        """Nothing was stored for too long: send again, and next time wait twice as long."""
        self.moved_at_ms, self.stall_ms = now_ms, min(2 * self.stall_ms, MAX_STALL_MS)
        self.start_over(late)


class Pace:
    """Whose turn it is. Who has been sent goes to the end, so that no device waits for another's backlog."""

    def __init__(self, backfill_per_s: float) -> None:
        self._per_s = backfill_per_s
        self._lanes: dict[str, Lane] = {}
        self._live: dict[str, None] = {}
        self._back: dict[str, None] = {}
        self._tokens, self._at_ms = 0.0, 0

    def lane(self, device: str) -> Lane:
        """The device's lane, made when it is new."""
        return self._lanes.setdefault(device, Lane(device))

    def add(self, lane: Lane) -> None:
        """Take up a device that has readings from before."""
        self._lanes[lane.device] = lane
        self.changed(lane)

    @property
    def lanes(self) -> list[Lane]:
        """All devices."""
        return list(self._lanes.values())

    def kept(self, device: str, first: int, last: int) -> None:
        """Readings came in."""
        lane = self.lane(device)
        lane.first = lane.first or first
        lane.newest = last
        self.changed(lane)

    def changed(self, lane: Lane) -> None:
        """Queue the device at the end of what it has to send."""
        for queue, wanted in ((self._live, lane.has_live), (self._back, lane.has_back)):
            queue.pop(lane.device, None)
            if wanted:
                queue[lane.device] = None

    def turns(self, now_ms: int) -> list[Turn]:
        """The next messages: live ones first, back-fill in what remains and as far as its rate allows."""
        self._refill(now_ms)
        live = [self._lanes[device] for device in list(self._live)[:PIPELINE]]
        turns = [Turn(lane.device, lane.live, lane.newest, BATCH, live=True, epoch=lane.epoch) for lane in live]
        for device in list(self._back)[: PIPELINE - len(turns)]:
            limit = min(BATCH, int(self._tokens))
            if limit < min(BATCH, self._per_s * _BURST_S):
                break
            self._tokens -= limit
            lane = self._lanes[device]
            turns.append(Turn(device, lane.back, lane.until, limit, live=False, epoch=lane.epoch))
        return turns

    def unused(self, readings: int) -> None:
        """Back-fill that a turn was allowed and did not need."""
        self._tokens += readings

    def stalled(self, now_ms: int) -> list[Lane]:
        """Those whose readings were sent and are not stored for too long."""
        return [lane for lane in self._lanes.values() if lane.stalled_in_ms(now_ms) == 0]

    def wakes_in_s(self, now_ms: int) -> float | None:
        """When something is to be done though nothing happens; None: never."""
        due = [wait for lane in self._lanes.values() if (wait := lane.stalled_in_ms(now_ms)) is not None]
        if self._back:
            needed = min(BATCH, self._per_s * _BURST_S) - self._tokens
            due.append(int(1000 * max(0.0, needed) / self._per_s) + 1)
        return min(due) / 1000 if due else None

    def _refill(self, now_ms: int) -> None:
        passed_s = max(0, now_ms - self._at_ms) / 1000
        self._at_ms = now_ms
        most = max(float(BATCH), self._per_s * _BURST_S)
        self._tokens = min(most, self._tokens + passed_s * self._per_s)
