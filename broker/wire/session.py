"""What this party still has to publish and what the broker has not acknowledged yet; it outlives connections."""

from __future__ import annotations

import asyncio
import itertools
from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from broker.wire.packets import DUP, RETAIN, publish_parts

# Published and not yet acknowledged: deep enough that a broker's group commit (a few ms) never starves it.
WINDOW = 2000
_IDS = 65_535


class Group:
    """Messages that were published together, and the one moment at which all of them are acknowledged."""

    __slots__ = ("done", "left", "unsent")

    def __init__(self, size: int) -> None:
        self.done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.left = self.unsent = size
        if not size:
            self.done.set_result(None)

    def confirm_one(self) -> None:
        """One more is acknowledged."""
        self.left -= 1
        if not self.left and not self.done.done():
            self.done.set_result(None)


class _Outgoing(NamedTuple):
    group: Group
    topic: bytes
    payload: bytes
    flags: int


class Session:
    """The sending half of an MQTT session (3.1.1, section 4.1): packet ids, the window, and what to send again."""

    def __init__(self) -> None:
        # Acknowledged so far, ever: whoever waits sees by it whether the broker works.
        self.confirmed = 0
        self._waiting: deque[_Outgoing] = deque()
        # In the order in which they were sent, which is that in which they are sent again (4.6).
        self._in_flight: dict[int, _Outgoing] = {}
        self._again: deque[int] = deque()
        self._reserved: set[int] = set()
        self._ids = itertools.cycle(range(1, _IDS + 1))

    def add(self, messages: Sequence[tuple[bytes, bytes]], *, retain: bool) -> Group:
        """Put (topic as `named` gives it, payload) pairs behind what waits already."""
        group, flags = Group(len(messages)), RETAIN if retain else 0
        self._waiting.extend([_Outgoing(group, topic, payload, flags) for topic, payload in messages])
        return group

    def frames(self, room: int) -> bytes:
        """The next packets to write, about `room` bytes of them; empty when the window is full or nothing waits."""
        parts: list[bytes] = []
        while room > 0 and self._again:
            packet_id = self._again.popleft()
            # Acknowledged meanwhile: by what the broker had sent before it knew of our return.
            if again := self._in_flight.get(packet_id):
                parts += publish_parts(packet_id, again.topic, again.payload, again.flags | DUP)
                room -= len(again.payload)
        while room > 0 and self._waiting and len(self._in_flight) < WINDOW:
            packet_id, outgoing = self.next_id(), self._waiting.popleft()
            self._in_flight[packet_id] = outgoing
            outgoing.group.unsent -= 1
            parts += publish_parts(packet_id, outgoing.topic, outgoing.payload, outgoing.flags)
            room -= len(outgoing.payload)
        return b"".join(parts)

    def confirm(self, packet_ids: Iterable[int]) -> None:
        """The broker has these; an id that is not in flight says nothing."""
        for packet_id in packet_ids:
            if outgoing := self._in_flight.pop(packet_id, None):
                self.confirmed += 1
                outgoing.group.confirm_one()

    def next_id(self) -> int:
        """A packet id that means nothing else at the moment."""
        return next(each for each in self._ids if each not in self._in_flight and each not in self._reserved)

    def reserve_id(self) -> int:
        """A packet id for a subscription, until `release_id` or the end of the connection."""
        packet_id = self.next_id()
        self._reserved.add(packet_id)
        return packet_id

    def release_id(self, packet_id: int) -> None:
        """The subscription was answered."""
        self._reserved.discard(packet_id)

    def reconnected(self, *, present: bool) -> None:
        """A new connection. `present`: the broker knows us, so what is in flight keeps its ids and is marked DUP.

        Otherwise it has forgotten them, and they are published as if for the first time.
        """
        self._reserved.clear()
        self._again.clear()
        if present:
            self._again.extend(self._in_flight)
            return
        forgotten = [outgoing for outgoing in self._in_flight.values() if not outgoing.group.done.done()]
        for outgoing in forgotten:
            outgoing.group.unsent += 1
        self._waiting.extendleft(reversed(forgotten))
        self._in_flight.clear()

    def abandon(self, group: Group) -> None:
        """Nobody waits for it any more. What is in flight keeps its id: the broker may still acknowledge it."""
        group.done.cancel()
        if group.unsent:
            self._waiting = deque(outgoing for outgoing in self._waiting if outgoing.group is not group)

    def end(self, error: Exception) -> None:
        """Tell everybody who waits."""
        for outgoing in (*self._in_flight.values(), *self._waiting):
            if not outgoing.group.done.done():
                outgoing.group.done.set_exception(error)
