"""Packet ids, the window, and what is sent again: timelines without a socket."""

from __future__ import annotations

import pytest

from broker.embedded.packets import read_publish, split
from broker.wire.packets import DUP, named
from broker.wire.session import WINDOW, Group, Session

PLENTY = 1 << 30


def sent(frames: bytes) -> list[tuple[int, bytes, bool]]:
    """(packet id, payload, DUP) of each."""
    packets, _ = split(bytearray(frames))
    found = [(read_publish(first, body), bool(first & DUP)) for first, body in packets]
    return [(message.packet_id, message.payload, dup) for message, dup in found]


def add(session: Session, *payloads: bytes) -> Group:
    return session.add([(named("plant/1"), payload) for payload in payloads], retain=False)


async def test_a_group_is_done_when_its_last_message_is_acknowledged() -> None:
    session = Session()
    first, second = add(session, b"a", b"b"), add(session, b"c")
    assert sent(session.frames(PLENTY)) == [(1, b"a", False), (2, b"b", False), (3, b"c", False)]
    session.confirm([3, 1])
    assert (first.done.done(), second.done.done()) == (False, True)
    session.confirm([2])
    assert first.done.done()
    assert session.confirmed == 3


async def test_an_empty_group_is_done_at_once() -> None:
    assert add(Session()).done.done()


async def test_no_more_is_in_flight_than_the_window_holds() -> None:
    session = Session()
    add(session, *[b"x"] * (WINDOW + 5))
    assert len(sent(session.frames(PLENTY))) == WINDOW
    assert session.frames(PLENTY) == b""
    session.confirm([1, 2])
    assert [packet_id for packet_id, *_ in sent(session.frames(PLENTY))] == [WINDOW + 1, WINDOW + 2]


async def test_large_messages_are_written_in_portions() -> None:
    session = Session()
    add(session, *[bytes(1000)] * 10)
    assert [len(sent(session.frames(3000))) for _ in range(5)] == [3, 3, 3, 1, 0]


async def test_what_is_in_flight_is_sent_again_first_with_its_ids_and_dup() -> None:
    session = Session()
    group = add(session, b"a", b"b", b"c")
    session.frames(PLENTY)
    session.confirm([2])
    add(session, b"d")
    session.reconnected(present=True)
    assert sent(session.frames(PLENTY)) == [(1, b"a", True), (3, b"c", True), (4, b"d", False)]
    session.confirm([1, 3])
    assert group.done.done()


async def test_what_is_acknowledged_before_it_was_sent_again_is_not_sent_again() -> None:
    session = Session()
    add(session, b"a", b"b")
    session.frames(PLENTY)
    session.reconnected(present=True)
    session.confirm([1])
    assert sent(session.frames(PLENTY)) == [(2, b"b", True)]


async def test_a_broker_that_forgot_us_gets_it_as_for_the_first_time_before_what_waits() -> None:
    session = Session()
    group = add(session, b"a", b"b")
    session.frames(PLENTY)
    add(session, b"c")
    session.reconnected(present=False)
    again = sent(session.frames(PLENTY))
    assert [(payload, dup) for _, payload, dup in again] == [(b"a", False), (b"b", False), (b"c", False)]
    # An answer to the old ids means nothing any more.
    session.confirm([1, 2])
    assert not group.done.done()
    session.confirm([packet_id for packet_id, *_ in again])
    assert group.done.done()
    assert (group.left, group.unsent) == (0, 0)


async def test_an_id_is_not_given_twice() -> None:
    session = Session()
    add(session, b"never acknowledged")
    session.frames(PLENTY)
    reserved = session.reserve_id()
    seen = set()
    for _ in range(66_000):
        add(session, b"x")
        ((packet_id, *_),) = sent(session.frames(PLENTY))
        seen.add(packet_id)
        session.confirm([packet_id])
    assert len(seen) == 65_533
    assert not seen & {1, reserved}
    session.release_id(reserved)
    assert reserved in {session.next_id() for _ in range(65_535)}


async def test_what_nobody_waits_for_is_not_sent_and_what_is_in_flight_keeps_its_id() -> None:
    session = Session()
    group = add(session, *[b"x"] * (WINDOW + 3))
    session.frames(PLENTY)
    session.abandon(group)
    other = add(session, b"other")
    session.confirm([1])
    assert sent(session.frames(PLENTY)) == [(WINDOW + 1, b"other", False)]
    # The late acknowledgements of what was abandoned confirm nothing else.
    session.confirm(range(2, WINDOW + 1))
    assert not other.done.done()
    session.confirm([WINDOW + 1])
    assert other.done.done()


async def test_the_end_is_told_to_everybody_who_waits() -> None:
    session = Session()
    flying = add(session, b"a")
    session.frames(PLENTY)
    waiting = add(session, b"b", b"c")
    session.end(RuntimeError("over"))
    for group in (flying, waiting):
        with pytest.raises(RuntimeError, match="over"):
            group.done.result()
