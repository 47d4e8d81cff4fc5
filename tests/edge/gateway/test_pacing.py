"""Whose turn it is: decided without a line and without a disk."""

from __future__ import annotations

import pytest

from edge.buffer import STALL_MS
from edge.gateway.pacing import BATCH, PIPELINE, Lane, Pace, Turn


def behind(device: str, first: int, newest: int, late: int) -> Lane:
    lane = Lane(device, first, newest)
    lane.start_over(late)
    return lane


def send(pace: Pace, now_ms: int) -> list[tuple[str, int, bool]]:
    """Carries the next turns out as if every reading up to the limit were there."""
    said = []
    for turn in pace.turns(now_ms):
        lane = pace.lane(turn.device)
        last = min(turn.until, turn.after + turn.limit)
        lane.sent(turn, last, now_ms)
        pace.changed(lane)
        said.append((turn.device, last, turn.live))
    return said


def test_what_is_measured_now_goes_before_what_waited():
    pace = Pace(1000)
    pace.add(behind("old", 1, 5000, 5000))
    pace.kept("new", 5001, 5001)
    assert [(device, live) for device, _, live in send(pace, 1000)][:2] == [("new", True), ("old", False)]


def test_a_live_reading_overtakes_the_back_fill_of_its_own_device():
    pace = Pace(1000)
    pace.add(behind("pump", 1, 1000, 1000))
    pace.kept("pump", 1001, 1001)
    first = send(pace, 1000)
    assert first[0] == ("pump", 1001, True)
    assert first[1] == ("pump", BATCH, False)


def test_back_fill_keeps_to_its_rate():
    pace = Pace(200)
    pace.add(behind("pump", 1, 100_000, 100_000))
    sent = 0
    for now_ms in range(10_000, 20_000, 100):
        turns = pace.turns(now_ms)
        for turn in turns:
            pace.lane("pump").sent(turn, turn.after + turn.limit, now_ms)
            sent += turn.limit
    assert sent == pytest.approx(2000 + 200, abs=BATCH)


def test_each_part_of_a_device_is_sent_in_its_order():
    pace = Pace(100_000)
    pace.add(behind("pump", 1, 400, 300))
    said = [send(pace, now_ms) for now_ms in range(1000, 30_000, 1000)]
    flat = [each for turn in said for each in turn]
    for live in (True, False):
        numbers = [last for _, last, was_live in flat if was_live is live]
        assert numbers == sorted(numbers)
    assert max(last for _, last, live in flat if not live) == 300
    assert max(last for _, last, live in flat if live) == 400


def test_no_device_waits_for_anothers_backlog():
    pace = Pace(1)
    for number in range(3 * PIPELINE):
        pace.kept(f"pump-{number}", 100_000 + number, 100_000 + number)
    heard = {device for now_ms in range(3) for device, _, _ in send(pace, now_ms)}
    assert len(heard) == 3 * PIPELINE


def test_silence_about_what_was_sent_sends_it_again_ever_more_slowly():
    pace = Pace(1000)
    pace.kept("pump", 1, 1)
    send(pace, 0)
    lane = pace.lane("pump")
    assert pace.stalled(STALL_MS - 1) == []
    assert pace.stalled(STALL_MS) == [lane]
    lane.give_up_waiting(0, STALL_MS)
    pace.changed(lane)
    assert send(pace, STALL_MS) == [("pump", 1, True)]
    assert pace.stalled(STALL_MS + STALL_MS) == []
    assert pace.stalled(STALL_MS + 2 * STALL_MS) == [lane]


def test_what_was_sent_ahead_of_back_fill_is_not_missed_before_that_is_sent():
    """The watermark cannot pass what has not been sent."""
    pace = Pace(1)
    pace.add(behind("pump", 1, 1000, 1000))
    pace.kept("pump", 1001, 1001)
    turn = pace.turns(0)[0]
    pace.lane("pump").sent(turn, 1001, 0)
    assert pace.lane("pump").stalled_in_ms(10 * STALL_MS) is None


def test_the_watermark_ends_the_waiting():
    pace = Pace(1000)
    pace.kept("pump", 1, 1)
    send(pace, 0)
    pace.lane("pump").stored(0, 500)
    assert pace.stalled(10 * STALL_MS) == []
    assert pace.wakes_in_s(600) is None


def test_a_turn_given_before_a_new_start_says_nothing_about_what_was_sent_since():
    pace = Pace(1000)
    pace.kept("pump", 1, 1)
    (turn,) = pace.turns(0)
    lane = pace.lane("pump")
    lane.start_over(0)
    lane.sent(turn, 1, 0)
    assert lane.has_live


def test_the_first_of_many_that_came_at_once_is_sent_again_too():
    pace = Pace(1000)
    pace.kept("pump", 1, 100)
    lane = pace.lane("pump")
    lane.start_over(0)
    assert (lane.first, lane.live) == (1, 0)


def test_what_waited_too_long_to_be_live_becomes_back_fill_without_being_skipped():
    lane = Lane("pump", 1, 1000)
    lane.live = 400
    lane.fall_behind(900)
    assert (lane.back, lane.until, lane.live) == (400, 900, 900)


def test_a_clock_that_was_set_back_does_not_make_the_patience_longer():
    lane = Lane("pump", 1, 10)
    lane.start_over(0)
    lane.sent(Turn("pump", 0, 10, BATCH, live=True, epoch=lane.epoch), 10, 5_000_000)
    assert lane.stalled_in_ms(5_000_000) == STALL_MS
    assert lane.stalled_in_ms(1_000_000) == STALL_MS
    assert lane.stalled_in_ms(1_000_000 + STALL_MS) == 0
