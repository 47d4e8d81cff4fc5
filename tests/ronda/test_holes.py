"""A judgement waits for readings that a killed broker took with it, and not for ever."""

from __future__ import annotations

from ronda.holes import LONGEST_MS, PATIENCE_MS, Holes

A, B = "a" * 16, "b" * 16


class Clock:
    """Stands where it is put."""

    now_ms = 86_400_000.0

    def __call__(self) -> float:
        return self.now_ms


def judged(holes: Holes, seqs: list[int], through: int, boot: str = A) -> int:
    """How many of these of one boot may be judged."""
    return holes.before_first("plant-1", "pump-07", [boot] * len(seqs), seqs, {boot: through})


def test_what_lies_below_the_watermark_is_judged() -> None:
    assert judged(Holes(Clock()), [3, 4, 5], through=5) == 3


def test_what_lies_behind_a_hole_waits_for_it() -> None:
    holes = Holes(Clock())
    assert judged(holes, [3, 4, 9, 10], through=4) == 2
    assert judged(holes, [3, 4, 5, 6, 7, 8, 9, 10], through=10) == 8


def test_a_refused_reading_is_no_hole() -> None:
    assert judged(Holes(Clock()), [3, 5], through=5) == 2


def test_a_hole_that_stays_open_is_waited_for_once() -> None:
    clock = Clock()
    holes = Holes(clock)
    assert judged(holes, [9], through=4) == 0
    clock.now_ms += PATIENCE_MS
    assert judged(holes, [9], through=4) == 1
    assert judged(holes, [30], through=4) == 1


def test_the_next_hole_of_a_boot_that_was_filled_is_waited_for_anew() -> None:
    clock = Clock()
    holes = Holes(clock)
    assert judged(holes, [9], through=4) == 0
    clock.now_ms += PATIENCE_MS - 1
    assert judged(holes, [15], through=9) == 0
    clock.now_ms += PATIENCE_MS - 1
    assert judged(holes, [15], through=9) == 0


def test_a_hole_that_is_being_filled_is_waited_for_while_it_goes_on_and_not_for_ever() -> None:
    clock = Clock()
    holes, step_ms = Holes(clock), PATIENCE_MS - 1
    for number in range(LONGEST_MS // step_ms + 1):
        assert judged(holes, [number, 5000], through=number) == 1, number
        clock.now_ms += step_ms
    assert judged(holes, [5000], through=100) == 1
    assert judged(holes, [5001], through=200) == 1, "it is the same hole"
    clock.now_ms += 1
    assert judged(holes, [6000], through=5001) == 0, "it was filled, and this is another one"


def test_who_does_not_count_and_who_is_complete_wait_for_nobody() -> None:
    found = Holes(Clock()).before_first("plant-1", "pump-07", ["uncounted", B, A], [7, 0, 9], {B: 0, A: 3})
    assert found == 2
