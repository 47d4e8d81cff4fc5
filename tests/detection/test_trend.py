"""When a limit will be crossed: an interval that keeps its word, and silence where the data support none.

Deterministic seeds; `-s` prints the tables that `docs/decisions/0019` quotes.
"""

from __future__ import annotations

import numpy as np
import pytest

from detection.rows import Floats, Ints
from detection.trend import DAY_MS, Remaining, Silence, Why, remaining

START_MS = 1_763_800_000_000
# The blocks of a long past are two hours wide, and the past is eleven days long.
BLOCK_MS = 2 * 3_600_000
PAST_MS = 11 * DAY_MS
BASE, LIMIT = 2.0, 4.5


def noise(rng: np.random.Generator, points: int, repeats: float) -> Floats:
    """First-order autoregressive, of deviation 1."""
    fresh = rng.standard_normal(points) * np.sqrt(1 - repeats**2)
    out = np.empty(points)
    out[0] = rng.standard_normal()
    for i in range(1, points):
        out[i] = repeats * out[i - 1] + fresh[i]
    return out


def day(at: Ints, phase: float = 0.0) -> Floats:
    return np.sin(2 * np.pi * at / DAY_MS + phase)


def past(days: float, points: int) -> Ints:
    return START_MS + np.linspace(0, days * DAY_MS, points).astype(np.int64)


def reason(found: Remaining | Silence) -> Why | None:
    return found.reason if isinstance(found, Silence) else None


def share_of_estimates(repeats: float, days: float, points: int, *, sims: int, daily: float = 0.0) -> float:
    rng, at = np.random.default_rng(7), past(days, points)
    spoken = 0
    for _ in range(sims):
        values = noise(rng, points, repeats) + daily * day(at, rng.uniform(0, 6))
        spoken += isinstance(remaining(at, values, 2.0 + daily), Remaining)
    return spoken / sims


@pytest.mark.parametrize("repeats", [0.0, 0.5, 0.8, 0.9, 0.95])
def test_noise_without_a_trend_is_met_with_silence(repeats: float) -> None:
    shares = [share_of_estimates(repeats, days, points, sims=150) for days, points in ((2.2, 100), (5, 75), (11, 120))]
    print(f"no trend, repeats {repeats:.2f}: estimates {max(shares):.1%}")
    # The nominal rate of one side is 0.5 %; 3 of 150 by chance once in 1,000.
    assert max(shares) <= 0.02


@pytest.mark.parametrize("days", [2.2, 2.8, 4.4, 7.0, 10.6])
def test_a_daily_cycle_alone_is_met_with_silence(days: float) -> None:
    points = round(days * 12) if days > 5.6 else round(days * 24)
    share = share_of_estimates(0.3, days, points, sims=60, daily=4.0)
    print(f"daily cycle of ±4 deviations, {days} days: estimates {share:.1%}")
    assert share == 0.0


def wear(kind: str, rng: np.random.Generator, repeats: float) -> tuple[Ints, Floats, float]:
    """An indicator on its way from BASE to LIMIT, by a pace of its own, and when it is there."""
    at = START_MS + np.arange(0, 40 * DAY_MS, BLOCK_MS)
    begins, takes = rng.uniform(0, 8) * DAY_MS, rng.uniform(6, 30) * DAY_MS
    done = np.clip((at - START_MS - begins) / takes, 0, None)
    share = {"linear": done, "square": done**2, "exponential": np.expm1(3 * done) / np.expm1(3)}[kind]
    disturbed = rng.uniform(0.03, 0.25) * noise(rng, len(at), repeats) + rng.uniform(0, 0.3) * day(
        at, rng.uniform(0, 6)
    )
    return at, BASE + (LIMIT - BASE) * share + disturbed, START_MS + begins + takes


@pytest.mark.parametrize("kind", ["linear", "square", "exponential"])
@pytest.mark.parametrize("repeats", [0.0, 0.5, 0.8])
def test_the_interval_holds_the_true_crossing(kind: str, repeats: float) -> None:
    inside, widths, first = [], [], []
    for seed in range(30):
        at, values, truth = wear(kind, np.random.default_rng(seed), repeats)
        spoken = False
        for now in np.arange(START_MS + 2.5 * DAY_MS, truth, DAY_MS):
            seen = (at <= now) & (at > now - PAST_MS)
            found = remaining(at[seen], values[seen], LIMIT)
            if isinstance(found, Silence):
                continue
            latest = np.inf if found.latest_ms is None else found.latest_ms
            inside.append(found.earliest_ms <= truth <= latest)
            widths.append((min(latest, now + PAST_MS) - found.earliest_ms) / DAY_MS)
            first += [] if spoken else [(truth - now) / DAY_MS]
            spoken = True
    print(
        f"{kind:<12} repeats {repeats:.1f}: {len(inside):>4} estimates, {np.mean(inside):.1%} hold the truth, "
        f"median width {np.median(widths):.1f} days, first {np.median(first):.1f} days ahead in {len(first)} of 30"
    )
    assert np.mean(inside) >= 0.9
    assert len(first) >= 20


def line(days: float, points: int, slope_per_day: float, deviation: float = 0.01) -> tuple[Ints, Floats]:
    at = past(days, points)
    return at, BASE + slope_per_day * (at - START_MS) / DAY_MS + deviation * noise(
        np.random.default_rng(3), points, 0.2
    )


def test_a_plain_line_is_prolonged_to_the_limit() -> None:
    at, values = line(5, 100, 0.3)
    found = remaining(at, values, LIMIT, metric="vibration_de_mm_s", unit="mm/s")
    assert isinstance(found, Remaining)
    assert (found.metric, found.limit, found.unit) == ("vibration_de_mm_s", LIMIT, "mm/s")
    truth = START_MS + (LIMIT - BASE) / 0.3 * DAY_MS
    assert found.crosses_at_ms == pytest.approx(truth, abs=0.2 * DAY_MS)
    assert found.latest_ms is not None
    assert at[-1] < found.earliest_ms < found.crosses_at_ms < found.latest_ms


def test_a_limit_below_is_the_same_mirrored() -> None:
    at, values = line(5, 100, 0.3)
    up, down = remaining(at, values, LIMIT), remaining(at, -values, -LIMIT)
    assert isinstance(up, Remaining)
    assert isinstance(down, Remaining)
    assert down.crosses_at_ms == up.crosses_at_ms


def test_wild_points_and_missing_ones_move_it_little() -> None:
    at, values = line(5, 100, 0.3)
    wild = values.copy()
    wild[[20, 55, 80]] = [40.0, -30.0, 25.0]
    wild[10:14] = np.nan
    plain, disturbed = remaining(at, values, LIMIT), remaining(at, wild, LIMIT)
    assert isinstance(plain, Remaining)
    if isinstance(disturbed, Remaining):
        assert disturbed.crosses_at_ms == pytest.approx(plain.crosses_at_ms, abs=0.5 * DAY_MS)


@pytest.mark.parametrize(
    ("values", "why"),
    [
        (line(1.5, 90, 0.3), Why.TOO_SHORT),
        (line(5, 20, 0.3), Why.TOO_SHORT),
        (line(5, 100, 0.0, deviation=0.1), Why.NO_TREND),
        (line(5, 100, -0.3), Why.NO_TREND),
        (line(5, 100, 0.03), Why.TOO_FAR),
        (line(5, 100, 0.515), Why.AT_THE_LIMIT),
    ],
)
def test_silence_has_a_name(values: tuple[Ints, Floats], why: Why) -> None:
    assert reason(remaining(*values, LIMIT)) is why


def test_a_drift_that_levels_off_is_not_prolonged() -> None:
    at = past(5, 100)
    values = BASE + 1.5 * (1 - np.exp(-3 * (at - START_MS) / (5 * DAY_MS)))
    values += 0.02 * noise(np.random.default_rng(2), 100, 0.2)
    assert reason(remaining(at, values, 3.8)) is Why.LEVELS_OFF


def test_a_constant_says_nothing() -> None:
    assert reason(remaining(past(5, 100), np.full(100, BASE), LIMIT)) is Why.NO_TREND


@pytest.mark.parametrize("place", [20, 35, 50, 65, 80])
@pytest.mark.parametrize("deviation", [0.05, 0.2, 0.4])
def test_a_step_is_no_trend(place: int, deviation: float) -> None:
    at = past(11, 120)
    for seed in range(20):
        step = np.where(np.arange(120) < place, BASE, 3.5)
        values = step + deviation * noise(np.random.default_rng(seed), 120, 0.5)
        assert isinstance(remaining(at, values, LIMIT), Silence)


def test_values_that_lie_exactly_on_a_line_are_the_clearest_trend() -> None:
    at = past(5, 100)
    assert isinstance(remaining(at, BASE + 0.3 * (at - START_MS) / DAY_MS, LIMIT), Remaining)
