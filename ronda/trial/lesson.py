"""How much of the beginning is taken for healthy: as the person says, or a careful third."""

from __future__ import annotations

import re

import numpy as np

from detection.fit import MIN_ROWS
from ronda.trial.errors import TrialError
from ronda.trial.recording import Recording

# What an asset of a running Ronda learns from before it is judged: half an hour, 1,800 readings at one a second.
_ENOUGH_MS, _ENOUGH_ROWS = 30 * 60 * 1000, 1800
# A recording made to show a fault has it in its second half more often than not; a third leaves room.
_SHARE = 3
# What is left to judge must fill the detector's window twice over.
MIN_JUDGED = 40

_AMOUNT = re.compile(r"(\d+(?:[.,]\d+)?)\s*(ms|s|min|m|h|d)")
_UNIT_MS = {"ms": 1, "s": 1000, "m": 60_000, "min": 60_000, "h": 3_600_000, "d": 86_400_000}


def learned_rows(recording: Recording, asked: str | None) -> int:
    """How many of the first rows are learned from. `asked`: `400` rows or a duration such as `30m`.

    Raises: TrialError when that is no amount, or leaves too little to learn from or to judge.
    """
    rows = len(recording.times)
    if rows < MIN_ROWS + MIN_JUDGED:
        raise TrialError(
            f"{recording.name}: {rows} rows are too few; {MIN_ROWS} are learned from and at least {MIN_JUDGED} judged"
        )
    learn = _by_itself(recording) if asked is None else _as_asked(recording, asked)
    if learn < MIN_ROWS:
        raise TrialError(f"{learn} rows are too few to learn from; ask for at least {MIN_ROWS} with --learn")
    if rows - learn < MIN_JUDGED:
        raise TrialError(
            f"--learn {asked} takes {learn:,} of {rows:,} rows, and at least {MIN_JUDGED} must be left to judge"
        )
    return learn


def _by_itself(recording: Recording) -> int:
    enough = max(_ENOUGH_ROWS, _rows_in(recording, _ENOUGH_MS))
    return max(MIN_ROWS, min(enough, len(recording.times) // _SHARE))


def _as_asked(recording: Recording, asked: str) -> int:
    text = asked.strip().lower()
    if text.isdecimal():
        return int(text)
    amount = _AMOUNT.fullmatch(text)
    if amount is None:
        raise TrialError(f"--learn {asked} is neither a number of rows, such as 400, nor a duration such as 30m or 2h")
    return _rows_in(recording, float(amount[1].replace(",", ".")) * _UNIT_MS[amount[2]])


def _rows_in(recording: Recording, duration_ms: float) -> int:
    return int(np.searchsorted(recording.times, recording.times[0] + duration_ms))
