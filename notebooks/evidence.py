"""What the detector says about rows of a machine: its alarms, and what it would say at any row."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from detection.detector import Detector
from detection.episode import Phase
from detection.explain import Findings, Scene, findings
from detection.model import Model
from detection.questions import Questions
from detection.rows import STEPS, Floats, Ints, scaled
from edge.metrics import NAMES

# As many rows as the detector itself remembers.
_REMEMBERED = 180


def alarms(model: Model, times: Ints, values: Floats) -> list[tuple[int, Findings]]:
    """(row, findings) of every alarm raised or updated while the detector watches these rows (n, 8)."""
    changes = Detector(model).process(times, values.T, NAMES)
    return [(change.row, change.explanation) for change in changes if change.phase is not Phase.CLEARED]


def findings_at(model: Model, times: Ints, values: Floats, rows: Sequence[int], *, limit: float) -> list[Findings]:
    """What there is to say at each of `rows` whose score is above `limit` (1: would alarm; 0: whatever it is).

    Judged against the level that was learned, at the slowest operating point; unlike in `alarms`, nothing has to last
    and nothing is followed.
    """
    normal = next(filter(None, model.normals))
    questions = Questions(normal, model.settings.window)
    steps = scaled(values, np.asarray(model.centre), np.asarray(model.deviation))
    learned = np.rint(np.asarray(normal.centre) * STEPS).astype(np.int64)
    scores = questions.scores(steps, len(steps), 0, 0, [learned])
    out = []
    for row in rows:
        if scores[row] > limit:
            seen, fresh = slice(max(0, row + 1 - _REMEMBERED), row + 1), min(row + 1, _REMEMBERED)
            out.append(findings(model, questions, Scene(steps[seen], times[seen], fresh, fresh, learned), {}))
    return out
