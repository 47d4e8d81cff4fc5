"""A channel stands still: is that the sensor, or the machine? A valve that closed leaves the flow at exactly zero.

One idea: a sensor that dies takes nothing with it. Where the machine was on its way out before the value stood still,
and by this channel too, or where other channels went with it, the machine holds the value where it is.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence

import numpy as np

from detection.decisions import Decisions
from detection.explain import Scene, shares_of
from detection.questions import Questions
from detection.rows import SILENT, STEPS, Floats, Rows
from detection.words import ALSO_SHARE


class Culprit(enum.StrEnum):
    """What holds a channel still, and by what that is known."""

    # Nothing else speaks for the machine.
    SENSOR = "sensor"
    # It had a part in the machine's alarm, or in what was about to become one, before it stood.
    ALARM = "alarm"
    # Other channels went beyond their limit as it went to where it stands.
    OTHERS = "others"


def culprit(
    channel: int, standing: Sequence[int], began_ms: int, decisions: Decisions, questions: Questions, scene: Scene
) -> Culprit:
    """Who holds `channel` still since `began_ms`; `standing` are all that stand, `scene` the rows up to now."""
    if _had_a_part(channel, began_ms, decisions, questions, scene):
        return Culprit.ALARM
    return Culprit.OTHERS if _went_together(channel, standing, began_ms, questions, scene) else Culprit.SENSOR


def _had_a_part(channel: int, began_ms: int, decisions: Decisions, questions: Questions, scene: Scene) -> bool:
    episode = decisions.episode
    if episode.active and channel in decisions.told_channels:
        return True
    if episode.since_ms is None or episode.since_ms >= began_ms:
        return False
    ahead = int((scene.times >= began_ms).sum())
    if scene.fresh - ahead < questions.window:
        return False
    end = len(scene.rows) - ahead
    before = Scene(scene.rows[:end], scene.times[:end], scene.fresh - ahead, scene.calm - ahead, scene.baseline)
    return float(shares_of(questions, before)[1][channel]) >= ALSO_SHARE


def _went_together(channel: int, standing: Sequence[int], began_ms: int, questions: Questions, scene: Scene) -> bool:
    """Is the channel elsewhere than before it stood, and are the others so too, by more than chance allows?"""
    rows = scene.unbroken
    count = int((scene.times[len(scene.times) - len(rows) :] >= began_ms).sum())
    if not count or len(rows) - count < questions.window:
        return False
    before, after = rows[-count - questions.window : -count], rows[-count:]
    shift, heard = _mean(after, questions, scene) - _mean(before, questions, scene), _heard(before) & _heard(after)
    if not heard[channel] or abs(shift[channel]) <= questions.reach[channel]:
        return False
    heard[list(standing)] = False
    # Two means of so few rows differ more by chance than one of a window, which the limit is for.
    limit = math.sqrt(1 + questions.window / count)
    return bool(questions.level_limit.distance(shift[None, :], heard[None, :])[0] > limit)


def _mean(rows: Rows, questions: Questions, scene: Scene) -> Floats:
    sums = questions.clipped(rows, scene.baseline).sum(axis=0)
    return np.asarray(sums / (len(rows) * STEPS))


def _heard(rows: Rows) -> np.ndarray:
    return np.asarray((rows != SILENT).all(axis=0))
