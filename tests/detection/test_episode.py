"""From scores to phases, as timelines: (second, score) in, (second, phase) out."""

from __future__ import annotations

import math

from detection.episode import Episode, Phase
from detection.settings import Settings

SETTINGS = Settings(min_duration_ms=10_000, clear_rows=5)


def timeline(*stretches: tuple[int, float]) -> list[tuple[int, Phase]]:
    """Each stretch is (seconds, score), one row a second; returns the second of each phase."""
    episode, second, told = Episode(), 0, []
    for seconds, score in stretches:
        for _ in range(seconds):
            phase = episode.step(score, second * 1000, SETTINGS)
            told += [(second, phase)] if phase else []
            second += 1
    return told


def test_beyond_the_limit_for_ten_seconds_is_raised() -> None:
    assert timeline((5, 0.5), (10, 1.2), (5, 0.5)) == []
    assert timeline((5, 0.5), (11, 1.2)) == [(15, Phase.RAISED)]


def test_a_row_inside_starts_the_duration_again() -> None:
    assert timeline((8, 1.2), (1, 0.9), (8, 1.2)) == []


def test_the_limit_itself_is_still_inside() -> None:
    assert timeline((60, 1.0)) == []


def test_it_clears_after_rows_in_a_row_clearly_inside() -> None:
    assert timeline((11, 1.2), (4, 0.5), (1, 0.8), (4, 0.5)) == [(10, Phase.RAISED)]
    assert timeline((11, 1.2), (5, 0.5)) == [(10, Phase.RAISED), (15, Phase.CLEARED)]


def test_it_clears_outside_too_when_what_was_raised_is_over() -> None:
    episode, cleared = Episode(), []
    for second in range(30):
        phase = episode.step(6.0 if second < 15 else 1.9, second * 1000, SETTINGS, back=15 <= second < 21)
        cleared += [second] if phase is Phase.CLEARED else []
    assert cleared[0] == 19


def test_what_waits_longer_is_raised_later() -> None:
    episode = Episode()
    told = [episode.step(1.2, second * 1000, SETTINGS, wait_ms=20_000) for second in range(40)]
    assert told.index(Phase.RAISED) == 30


def test_getting_critical_is_told_at_once_and_only_once() -> None:
    assert timeline((11, 1.2), (3, 1.3), (100, 2.1)) == [(10, Phase.RAISED), (14, Phase.UPDATED)]


def test_growing_worse_is_told_at_most_once_a_minute() -> None:
    told = timeline((11, 2.0), *((1, 2.0 + 0.1 * second) for second in range(180)))
    assert [second for second, _ in told] == [10, 70, 130, 190]


def test_what_was_not_judged_changes_nothing() -> None:
    assert timeline((5, 1.2), (20, math.nan), (1, 1.2)) == [(25, Phase.RAISED)]


def test_raised_again_is_a_new_episode_with_its_own_beginning() -> None:
    episode = Episode()
    for second in range(60):
        episode.step(1.5 if second < 20 else 0.1, second * 1000, SETTINGS)
    assert not episode.active
    for second in range(60, 75):
        episode.step(1.1, second * 1000, SETTINGS)
    assert episode.active
    assert (episode.since_ms, episode.peak) == (60_000, 1.1)
