"""What a detector says: a machine, or one of its sensors, left its normal state, is worse, or came back."""

from __future__ import annotations

import msgspec

from detection.episode import Phase, Severity
from detection.explain import Explanation
from detection.kinds import Alarm


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """Row `row` of the processed block decided it; `score` 1 is the limit.

    `new_level`: cleared because it settled elsewhere, which a person should verify. `explanation` is the one it was
    raised or last updated with, also when it clears.
    """

    phase: Phase
    row: int
    severity: Severity
    score: float
    peak_score: float
    since_ms: int
    explanation: Explanation
    alarm: Alarm = Alarm.ANOMALY
    new_level: bool = False
