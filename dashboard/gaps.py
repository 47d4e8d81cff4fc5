"""Where nothing was measured no line is drawn: a gap in the data is a gap in the picture."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

# Thinning for the screen leaves steps of up to four times the usual one where nothing is missing.
_STEPS = 5


def longest_step_ms(times: Sequence[int]) -> float:
    """The longest step that is no gap, ms: a few of the usual ones; without two points every step is usual.

    Usual is the median, or the mean where that is longer: half of a past sent once a minute, half measured each second
    has no gap.
    """
    if len(times) < 3:
        return float("inf")
    steps = [later - earlier for earlier, later in pairwise(times)]
    return _STEPS * max(median(steps), (times[-1] - times[0]) / len(steps))


def broken(times: Sequence[int], values: Sequence[float | None]) -> tuple[list[int], list[float | None]]:
    """The same points with a None in the middle of each gap, epoch ms and values of one length."""
    longest = longest_step_ms(times)
    out_times: list[int] = []
    out_values: list[float | None] = []
    for at, value in zip(times, values, strict=True):
        if out_times and at - out_times[-1] > longest:
            out_times.append((out_times[-1] + at) // 2)
            out_values.append(None)
        out_times.append(at)
        out_values.append(value)
    return out_times, out_values
