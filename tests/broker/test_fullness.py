"""When a queue is behind: timelines of how full it is, and what is said of it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.fullness import HIGH, LOW, Fill, Fullness, Standing, standing
from broker.sys_tree import QUEUES, STORED, heard, said
from contract.errors import ContractError

ROOM, BEHIND, DRAINING = Standing.ROOM, Standing.BEHIND, Standing.DRAINING


def timeline(*shares: float) -> list[Standing]:
    seen = [ROOM]
    for share in shares:
        seen.append(standing(seen[-1], share))
    return seen[1:]


def test_a_queue_falls_behind_at_the_high_mark_and_not_before():
    assert timeline(0.0, 0.5, 0.74, HIGH, 1.0) == [ROOM, ROOM, ROOM, BEHIND, BEHIND]


def test_it_comes_back_below_the_low_mark_and_not_before():
    assert timeline(0.8, 0.74, 0.6, 0.51, LOW, 0.1) == [BEHIND, DRAINING, DRAINING, DRAINING, ROOM, ROOM]


def test_what_was_never_behind_is_not_draining():
    assert timeline(0.6, 0.7, 0.6) == [ROOM, ROOM, ROOM]


def test_one_that_fills_again_while_it_drains_is_behind_again():
    assert timeline(0.9, 0.6, 0.8, 0.4, 0.6) == [BEHIND, DRAINING, BEHIND, ROOM, ROOM]


@given(st.lists(st.floats(LOW + 0.001, HIGH - 0.001), min_size=1))
def test_between_the_marks_the_answer_never_changes(shares: list[float]) -> None:
    assert {each is ROOM for each in timeline(*shares)} == {True}
    assert {each is ROOM for each in timeline(1.0, *shares)} == {False}


def test_which_queue_how_many_and_of_how_many_is_said():
    fullness = Fullness()
    historian = Fill("queue of historian", 812_000, 1_000_000, "messages")
    fullness.look([historian, Fill("queue of validation", 3, 10, "MB")])
    assert fullness.behind == ["queue of historian: 812,000 of 1,000,000 messages"]


def test_a_queue_has_two_bounds_and_is_behind_by_either():
    fullness = Fullness()
    fullness.look([Fill("queue of historian", 5, 1000, "messages"), Fill("queue of historian", 900, 1000, "MB")])
    assert fullness.behind == ["queue of historian: 900 of 1,000 MB"]


def test_a_queue_that_is_gone_is_forgotten():
    fullness = Fullness()
    fullness.look([Fill("queue of historian", 10, 10, "messages")])
    fullness.look([])
    assert fullness.behind == []
    fullness.look([Fill("queue of historian", 6, 10, "messages")])
    assert fullness.behind == []


def test_what_the_embedded_broker_says_is_heard_as_it_was_meant():
    fills = [Fill("queue of historian", 1, 2, "messages"), Fill("queue of validation", 3, 4, "MB")]
    assert heard(QUEUES, said(fills), max_queued=9) == fills


def test_of_mosquitto_all_that_waits_in_its_memory_is_held_against_one_queue():
    assert heard(STORED, b"750001", max_queued=1_000_000) == [Fill("Mosquitto", 750_001, 1_000_000, "messages")]


@pytest.mark.parametrize(("topic", "payload"), [(QUEUES, b"{}"), (STORED, b"many"), ("$SYS/broker/uptime", b"1")])
def test_what_neither_broker_says_is_refused(topic: str, payload: bytes) -> None:
    with pytest.raises(ContractError):
        heard(topic, payload, max_queued=1)
