"""What one client has still to acknowledge: in memory for a live subscriber, in the log for a durable one."""

from __future__ import annotations

import asyncio
from collections import deque

from broker.embedded.log import Log
from broker.embedded.packets import publish
from broker.embedded.rows import Row
from broker.fullness import Fill

# Sent and not yet acknowledged. An agent takes 256 at once and acknowledges when its output is: two of those.
_WINDOW = 500
_WINDOW_BYTES = 16 * 1024 * 1024
# One write to the socket.
_BURST_BYTES = 256 * 1024
# Of a durable queue this much waits in memory; the rest is read from the log when its turn comes.
_TAIL = 2000
_TAIL_BYTES = 8 * 1024 * 1024
# A live subscriber that is further behind than this misses messages: 2 s of the fastest burst we carry.
_LIVE = 20_000
_LIVE_BYTES = 32 * 1024 * 1024
# A durable queue's bound while the log's disk is full: what an agent works on, and the next of it.
_SCARCE_ROWS = 2 * _TAIL
_SCARCE_OCTETS = 1024 * 1024
_MAX_PACKET_ID = 65_535
_MEGABYTE = 1_000_000


class Outbox:
    """The messages of one live subscriber, bounded; QoS 1 within a window, QoS 0 as it comes."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self._waiting: deque[tuple[Row, int]] = deque()
        self._waiting_bytes = 0
        self._unacked: dict[int, Row] = {}
        self._unacked_bytes = 0
        self._last_id = 0

    def offer(self, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool:
        """Add a message; False when the subscriber is too far behind."""
        if len(self._waiting) >= _LIVE or self._waiting_bytes > _LIVE_BYTES:
            return False
        self._waiting.append((Row(0, topic, payload, retain), qos))
        self._waiting_bytes += len(payload)
        self.wake.set()
        return True

    def burst(self) -> tuple[bytes, int]:
        """The next packets to send, as one piece, and how many messages they are; empty when there is nothing."""
        packets: list[bytes] = []
        size = 0
        while size < _BURST_BYTES and (packet := self._next()) is not None:
            packets.append(packet)
            size += len(packet)
        return b"".join(packets), len(packets)

    def acknowledge(self, packet_id: int) -> None:
        """The subscriber has this one."""
        row = self._unacked.pop(packet_id, None)
        if row is not None:
            self._unacked_bytes -= len(row.payload)
            self.wake.set()

    def _next(self) -> bytes | None:
        if not self._waiting:
            return None
        row, qos = self._waiting[0]
        if qos and not self._has_window():
            return None
        self._waiting.popleft()
        self._waiting_bytes -= len(row.payload)
        return self._packet(row) if qos else publish(row.topic, row.payload, qos=0, retain=row.retain, packet_id=0)

    def _has_window(self) -> bool:
        return not self._unacked or (len(self._unacked) < _WINDOW and self._unacked_bytes < _WINDOW_BYTES)

    def _packet(self, row: Row) -> bytes:
        packet_id = self._new_id()
        self._unacked[packet_id] = row
        self._unacked_bytes += len(row.payload)
        return publish(row.topic, row.payload, qos=1, retain=row.retain, packet_id=packet_id)

    def _new_id(self) -> int:
        while True:
            self._last_id = self._last_id % _MAX_PACKET_ID + 1
            if self._last_id not in self._unacked:
                return self._last_id


class DurableOutbox(Outbox):
    """A durable client's queue: every message is in the log until the client acknowledged it.

    Sent in the order of the log. A message stays in the log as long as one before it is not acknowledged, so a crash
    makes some come again and none go missing. `offer` is for QoS 0, which nobody keeps.
    """

    def __init__(self, log: Log, number: int, *, max_rows: int, max_octets: int, seq: int) -> None:
        super().__init__()
        self.number = number
        self._log, self._max_rows, self._max_octets = log, max_rows, max_octets
        self.rows, self.octets, last = log.extent(number)
        self._next_seq = max(last, seq) + 1
        # `_sent`: highest sequence handed to the client; `_newest`: highest in the log; `_tail`: what lies between,
        # unless the queue is `_behind`, then (also) in the log alone.
        self._sent = 0
        self._newest = last
        self._tail: deque[Row] = deque()
        self._tail_bytes = 0
        self._behind = self.rows > 0
        self._connected = False
        self._one_by_one = 0

    @property
    def full(self) -> bool:
        """Is there no room for another message?"""
        if self._log.room.scarce and (self.rows >= _SCARCE_ROWS or self.octets >= _SCARCE_OCTETS):
            return True
        return self.rows >= self._max_rows or self.octets >= self._max_octets

    def fills(self, name: str) -> tuple[Fill, Fill]:
        """How full it is against both of its bounds."""
        return (
            Fill(name, self.rows, self._max_rows, "messages"),
            Fill(name, self.octets // _MEGABYTE, max(1, self._max_octets // _MEGABYTE), "MB"),
        )

    def append(self, topic: str, payload: bytes, *, retain: bool) -> None:
        """Write a message to the log; it is sent once it is there."""
        row = Row(self._next_seq, topic, payload, retain)
        self._next_seq += 1
        self.rows += 1
        self.octets += len(payload)
        self._log.append(self, row)

    def committed(self, row: Row) -> None:
        """The log has it."""
        self._newest = row.seq
        has_room = len(self._tail) < _TAIL and self._tail_bytes < _TAIL_BYTES
        if self._connected and has_room and not self._behind:
            self._tail.append(row)
            self._tail_bytes += len(row.payload)
        else:
            self._behind = True
        self.wake.set()

    def failed(self, row: Row) -> None:
        """The log could not take it."""
        self.rows -= 1
        self.octets -= len(row.payload)

    def head(self) -> Row | None:
        """The first message that is not acknowledged."""
        if self._unacked:
            return next(iter(self._unacked.values()))
        found = self._log.read(self.number, self._sent, rows=1, octets=1)
        return found[0] if found else None

    def connect(self, *, one_by_one: bool) -> bytes:
        """A connection is there. Returns what was under way on the last one: same ids, DUP, same order [MQTT-4.4.0-1].

        `one_by_one`: the client did not survive its first message several times; find out which one it is.
        """
        self._connected = True
        self._one_by_one = _WINDOW if one_by_one else 0
        if one_by_one:
            self._take_back()
        self.wake.set()
        return b"".join(
            publish(row.topic, row.payload, qos=1, retain=row.retain, packet_id=packet_id, dup=True)
            for packet_id, row in self._unacked.items()
        )

    def disconnect(self) -> None:
        """The connection is gone: what waits in memory for it goes back to being only in the log."""
        self._connected = False
        self._behind = self._behind or bool(self._tail)
        self._tail.clear()
        self._tail_bytes = 0
        self._waiting.clear()
        self._waiting_bytes = 0

    def skip(self, row: Row) -> None:
        """Give up on the first message: it was put aside."""
        for packet_id, under_way in list(self._unacked.items()):
            if under_way.seq == row.seq:
                self.acknowledge(packet_id)
                return
        self._sent = max(self._sent, row.seq)
        self._forget(row, row.seq)

    def acknowledge(self, packet_id: int) -> None:
        """The client has this one; what it has without a gap leaves the log."""
        row = self._unacked.get(packet_id)
        if row is None:
            return
        super().acknowledge(packet_id)
        self._one_by_one = max(0, self._one_by_one - 1)
        oldest = next(iter(self._unacked.values()), None)
        self._forget(row, oldest.seq - 1 if oldest else self._sent)

    def _forget(self, row: Row, through: int) -> None:
        self.rows -= 1
        self.octets -= len(row.payload)
        self._log.acknowledged(self.number, through)

    def _take_back(self) -> None:
        """Let what was under way be sent again from the log, as if it never had been."""
        if self._unacked:
            self._sent = next(iter(self._unacked.values())).seq - 1
            self._unacked.clear()
            self._unacked_bytes = 0
            self._behind = True
            # Those acknowledged behind a gap are still in the log and will be counted again.
            self._log.flush()
            self.rows, self.octets, _ = self._log.extent(self.number)

    def _has_window(self) -> bool:
        return not self._unacked if self._one_by_one else super()._has_window()

    def _next(self) -> bytes | None:
        if (waiting := super()._next()) is not None:
            return waiting
        if not self._has_window() or not self._refill():
            return None
        row = self._tail.popleft()
        self._tail_bytes -= len(row.payload)
        self._sent = row.seq
        return self._packet(row)

    def _refill(self) -> bool:
        if not self._tail and self._behind:
            rows = self._log.read(self.number, self._sent, rows=_TAIL, octets=_TAIL_BYTES)
            self._tail.extend(rows)
            self._tail_bytes = sum(len(row.payload) for row in rows)
            self._behind = bool(rows) and rows[-1].seq < self._newest
        return bool(self._tail)
