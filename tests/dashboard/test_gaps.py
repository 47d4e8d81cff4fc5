"""A gap in the data is a gap in the picture."""

from __future__ import annotations

import random

from dashboard.gaps import broken

MINUTE = [1000 * second for second in range(60)]


def gaps(times: list[int]) -> int:
    return broken(times, [1.0] * len(times))[1].count(None)


def test_a_line_without_a_gap_is_left_as_it_is() -> None:
    assert broken(MINUTE, [2.0] * 60) == (MINUTE, [2.0] * 60)


def test_a_gap_is_marked_in_its_middle() -> None:
    later = [at + 200_000 for at in MINUTE]
    times, values = broken([*MINUTE, *later], [1.0] * 120)
    assert len(times) == len(values) == 121
    assert (times[60], values[60]) == ((59_000 + 200_000) // 2, None)


def test_a_past_that_was_sent_coarsely_is_one_line_with_what_was_measured_finely() -> None:
    coarse = [60_000 * minute for minute in range(-30, 0)]
    assert gaps([*coarse, *MINUTE]) == 0


def test_thinning_for_the_screen_makes_no_gaps() -> None:
    draw = random.Random(3)
    kept = sorted(at for start in range(0, 3_600_000, 90_000) for at in draw.sample(range(start, start + 90_000), 2))
    assert gaps(kept) == 0


def test_two_points_tell_nothing_of_what_is_usual() -> None:
    assert gaps([0, 3_600_000]) == 0
    assert broken([], []) == ([], [])
