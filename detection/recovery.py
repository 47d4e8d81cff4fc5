"""Is what was raised over? Compares where the machine is now with where it was at the worst of the alarm.

A machine seldom comes back to the very level it left: it has warmed up meanwhile, a valve stands a little elsewhere. So
what counts is the fault's own direction, which sensors together and which way, and how much of it is left. What remains
in other directions is no reason to go on alarming, unless it is a fault of its own; a person is told to verify it.
"""

from __future__ import annotations

import math

import msgspec
import numpy as np

from detection.explain import Scene, answers
from detection.kinds import Kind
from detection.questions import Questions
from detection.rows import Floats
from detection.settings import Settings


class Excursion(msgspec.Struct, frozen=True):
    """The worst of an alarm: in which question, how large (1 is the limit), and in which direction."""

    kind: Kind
    peak: float
    direction: list[float]

    @classmethod
    def at(cls, questions: Questions, scene: Scene, before: Excursion | None = None) -> Excursion:
        """The worst up to the scene's last row, `before` included.

        The level speaks for the others where it is outside: a jump passes by itself while the machine stays where it
        went.
        """
        found = answers(questions, scene)
        kind = Kind.LEVEL if found[Kind.LEVEL] > 1 else max(found, key=lambda question: found[question])
        same = before is not None and before.kind is kind
        if before is not None and (before.peak >= found[kind] if same else before.kind is Kind.LEVEL):
            return before
        parts = _parts(kind, questions, scene)
        length = math.sqrt(float((parts * parts).sum()))
        return cls(kind, found[kind], (parts / max(length, 1e-9)).tolist())

    def is_gone(self, questions: Questions, settings: Settings, scene: Scene) -> bool:
        """Is little left of this in its own direction, whatever else there may be?"""
        parts = _parts(self.kind, questions, scene)
        return float(parts @ np.asarray(self.direction)) < settings.clear_share * self.peak

    def is_over(self, questions: Questions, settings: Settings, scene: Scene) -> bool:
        """Has this gone, while the machine stands still at a level that is no fault of its own?"""
        if not self.is_gone(questions, settings, scene):
            return False
        found = answers(questions, scene)
        if self.kind is not Kind.ROUGHNESS and found.get(Kind.ROUGHNESS, 0.0) > 1:
            return False
        # What is critical by itself is another fault, not what this one left behind.
        return found[Kind.LEVEL] < settings.critical and _stands_still(questions, settings, scene)


def _parts(kind: Kind, questions: Questions, scene: Scene) -> Floats:
    return questions.parts(kind, scene.undisturbed if kind is Kind.JUMP else scene.unbroken, scene.baseline)


def _stands_still(questions: Questions, settings: Settings, scene: Scene) -> bool:
    """Do the last two windows agree? A machine on its way back is at no level yet."""
    rows, width = scene.unbroken, questions.window
    if len(rows) < 2 * width:
        return False
    now = questions.parts(Kind.LEVEL, rows, scene.baseline)
    before = questions.parts(Kind.LEVEL, rows[:-width], scene.baseline)
    return math.sqrt(float(((now - before) ** 2).sum())) < settings.clear_below
