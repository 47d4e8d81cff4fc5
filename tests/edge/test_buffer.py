"""The ring: what it keeps, what it frees, what it sends again."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from contract.events import Watermark
from edge.buffer import BACKFILL, MAX_STALL_MS, STALL_MS, Buffer, Mark

BOOT, OTHER = "a" * 16, "b" * 16


def filled(readings: int, capacity: int = 1000) -> Buffer:
    buffer = Buffer(BOOT, capacity)
    for seq in range(readings):
        buffer.hold(1000 * seq, (float(seq),))
    return buffer


def seqs(buffer: Buffer, limit: int = 1000, at_ms: int = 0) -> list[int]:
    return [held.seq for held in buffer.take(limit, at_ms)]


def test_readings_leave_in_order_and_once():
    buffer = filled(5)
    assert [seqs(buffer, 2), seqs(buffer, 2), seqs(buffer, 2), seqs(buffer, 2)] == [[0, 1], [2, 3], [4], []]


def test_only_the_watermark_frees():
    buffer = filled(5)
    seqs(buffer)
    assert len(buffer) == 5
    assert buffer.free(Watermark(boot=BOOT, through=2), 0) == 3
    assert (len(buffer), buffer.first, buffer.under_way) == (2, 3, 2)


def test_a_stale_or_repeated_watermark_changes_nothing():
    buffer = filled(5)
    buffer.free(Watermark(boot=BOOT, through=3), 0)
    for through in (3, 1, -1):
        assert buffer.free(Watermark(boot=BOOT, through=through), 0) == 0
    assert buffer.first == 4


def test_the_watermark_of_another_boot_changes_nothing():
    buffer = filled(5)
    assert buffer.free(Watermark(boot=OTHER, through=4), 0) == 0
    assert len(buffer) == 5


def test_a_watermark_from_the_future_frees_no_reading_that_is_still_to_come():
    buffer = filled(3)
    buffer.free(Watermark(boot=BOOT, through=99), 0)
    assert (len(buffer), buffer.through) == (0, 2)
    buffer.hold(0, (1.0,))
    assert len(buffer) == 1


def test_what_an_earlier_life_had_stored_is_not_sent():
    buffer = filled(5)
    buffer.free(Watermark(boot=BOOT, through=2), 0)
    assert seqs(buffer) == [3, 4]


def test_after_a_reconnect_everything_behind_the_watermark_goes_again():
    buffer = filled(5)
    seqs(buffer)
    buffer.free(Watermark(boot=BOOT, through=1), 0)
    assert buffer.send_again() == 3
    assert seqs(buffer) == [2, 3, 4]


def test_a_full_ring_drops_the_oldest_counts_it_and_reports_what_it_still_holds():
    buffer = filled(12, capacity=10)
    assert (buffer.dropped, buffer.oldest, seqs(buffer)[0]) == (2, 2, 2)


def test_oldest_is_reported_until_the_watermark_has_passed_the_loss():
    buffer = filled(12, capacity=10)
    buffer.free(Watermark(boot=BOOT, through=0), 0)
    assert buffer.oldest == 2
    buffer.free(Watermark(boot=BOOT, through=1), 0)
    assert buffer.oldest is None


def test_nothing_is_reported_lost_when_nothing_was_dropped():
    buffer = filled(5)
    assert buffer.oldest is None
    buffer.free(Watermark(boot=BOOT, through=4), 0)
    assert buffer.oldest is None


def test_a_message_carries_readings_of_one_mark_only():
    buffer = Buffer(BOOT, 10)
    marks = [
        BACKFILL,
        BACKFILL,
        Mark(),
        Mark(traced=True, correlation_id="c-1"),
        Mark(traced=True, correlation_id="c-1"),
    ]
    for mark in marks:
        buffer.hold(0, (0.0,), mark)
    assert [seqs(buffer), seqs(buffer), seqs(buffer)] == [[0, 1], [2], [3, 4]]


def test_silence_while_readings_are_under_way_is_a_stall():
    buffer = filled(1)
    assert buffer.stalled_in_ms(0) is None
    seqs(buffer, at_ms=5000)
    assert buffer.stalled_in_ms(6000) == STALL_MS - 1000
    assert buffer.stalled_in_ms(5000 + STALL_MS) == 0


def test_a_clock_that_is_set_back_makes_the_patience_no_longer():
    buffer = filled(1)
    seqs(buffer, at_ms=3_600_000)
    assert buffer.stalled_in_ms(1000) == STALL_MS
    assert buffer.stalled_in_ms(1000 + STALL_MS) == 0


def test_a_restored_store_gets_again_what_is_held_and_is_told_what_is_gone():
    buffer = filled(10)
    assert seqs(buffer) == list(range(10))
    buffer.free(Watermark(boot=buffer.boot, through=5), 0)
    assert buffer.oldest is None
    buffer.free(Watermark(boot=buffer.boot, through=2), 0)
    assert (buffer.through, buffer.oldest) == (5, 6)
    assert seqs(buffer) == [6, 7, 8, 9]
    buffer.free(Watermark(boot=buffer.boot, through=9), 0)
    assert (len(buffer), buffer.oldest) == (0, None)


def test_any_progress_starts_the_patience_anew():
    buffer = filled(4)
    seqs(buffer, at_ms=0)
    buffer.free(Watermark(boot=BOOT, through=0), 9000)
    assert buffer.stalled_in_ms(9000) == STALL_MS


def test_each_stall_is_waited_for_twice_as_long_up_to_a_limit_until_something_moves():
    buffer, now_ms, waits = filled(2), 0, []
    for _ in range(8):
        seqs(buffer, at_ms=now_ms)
        waits.append(buffer.stalled_in_ms(now_ms))
        now_ms += waits[-1]
        assert buffer.give_up_waiting(now_ms) == 2
    assert waits == [min(STALL_MS * 2**n, MAX_STALL_MS) for n in range(8)]
    buffer.free(Watermark(boot=BOOT, through=0), now_ms)
    seqs(buffer, at_ms=now_ms)
    assert buffer.stalled_in_ms(now_ms) == STALL_MS


class AnythingHappens(RuleBasedStateMachine):
    """Whatever comes in whatever order: no reading leaves the ring unless the store or a full ring took it."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = Buffer(BOOT, 7)
        self.stored = self.said = -1
        self.sent: set[int] = set()
        self.now_ms = 0

    @rule(replayed=st.booleans())
    def measure(self, replayed):
        seq = self.buffer.hold(self.now_ms, (1.0,), BACKFILL if replayed else Mark())
        assert seq == self.buffer.next_seq - 1

    @rule(limit=st.integers(1, 10))
    def send(self, limit):
        batch = self.buffer.take(limit, self.now_ms)
        numbers = [held.seq for held in batch]
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True
        assert len({held.mark for held in batch}) <= 1
        self.sent.update(numbers)

    @rule(through=st.integers(-1, 60), boot=st.sampled_from([BOOT, OTHER]))
    def hear(self, through, boot):
        self.buffer.free(Watermark(boot=boot, through=through), self.now_ms)
        if boot == BOOT:
            self.said = min(through, self.buffer.next_seq - 1)
            self.stored = max(self.stored, self.said)

    @rule()
    def reconnect(self):
        self.buffer.send_again()

    @rule(passed_ms=st.integers(0, 20_000))
    def wait(self, passed_ms):
        self.now_ms += passed_ms
        if self.buffer.stalled_in_ms(self.now_ms) == 0:
            self.buffer.give_up_waiting(self.now_ms)
            assert self.buffer.under_way == 0

    @invariant()
    def nothing_vanishes(self):
        buffer = self.buffer
        assert buffer.through == self.stored
        assert buffer.first <= max(self.stored + 1, buffer.next_seq - 7)
        assert buffer.first + len(buffer) == buffer.next_seq
        assert buffer.under_way <= len(buffer) <= 7

    @invariant()
    def a_loss_is_reported(self):
        missing = self.buffer.first - (self.said + 1)
        assert (self.buffer.oldest is not None) == (missing > 0)
        assert self.buffer.dropped >= self.buffer.first - (self.stored + 1)


TestAnythingHappens = AnythingHappens.TestCase


@given(st.lists(st.integers(1, 30), max_size=20), st.integers(1, 9))
def test_whatever_the_size_of_the_messages_all_readings_are_sent(measured, limit):
    buffer, sent = Buffer(BOOT, 1000), []
    for count in measured:
        for _ in range(count):
            buffer.hold(0, (0.0,))
        sent += seqs(buffer, limit)
    while batch := seqs(buffer, limit):
        sent += batch
    assert sent == list(range(sum(measured)))
