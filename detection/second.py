"""A second fault while an alarm is open: sensors that nobody was told of pass a limit of their own.

The sensors that were told are left out of each question; what the others answer is then theirs alone.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from detection.ellipsoid import Ellipsoid, Mask
from detection.explain import Explanation, Findings, Scene, excesses, normalised
from detection.kinds import Kind
from detection.questions import Questions
from detection.recovery import Excursion
from detection.rows import Floats
from detection.words import ALSO_SHARE


class Apart(NamedTuple):
    """The largest answer of some channels alone: to which question, and as a vector whose length is about that.

    `shares` (k) are theirs in it.
    """

    kind: Kind
    answer: float
    parts: Floats
    shares: Floats

    @property
    def leading(self) -> int:
        """The channel with the largest share."""
        return int(self.shares.argmax())

    @property
    def excursion(self) -> Excursion:
        """The same to be compared with later."""
        length = math.sqrt(float((self.parts * self.parts).sum()))
        return Excursion(self.kind, length, (self.parts / max(length, 1e-9)).tolist())


class Second(msgspec.Struct, omit_defaults=True):
    """Which channels people were told of since the alarm was raised, and since when others are beyond a limit.

    `worst` is the second fault, once it was told: the alarm is not over before that is.
    """

    told: list[int] = []
    since_ms: int | None = None
    worst: Excursion | None = None

    def step(self, found: Apart | None, at_ms: int, *, limit: float, lasting_ms: int) -> bool:
        """Have others than the told ones been beyond the limit for so long? `found`: what they answer by themselves."""
        if found is None or found.answer <= limit:
            self.since_ms = None
            return False
        if self.since_ms is None:
            self.since_ms = at_ms
        return at_ms - self.since_ms >= lasting_ms

    def tell(self, channels: Sequence[int], found: Apart | None) -> None:
        """These were told now; with `found`, as the second fault."""
        self.told = sorted({*self.told, *channels})
        if found is not None:
            self.worst, self.since_ms = found.excursion, None


def named(found: Findings | Explanation, metrics: Sequence[str]) -> list[int]:
    """The channels that a person takes to be affected: the leading one, and those outside or with a part in it."""
    first, *others = found.sensors
    names = [first.name, *(each.name for each in others if each.share >= ALSO_SHARE or each.outside)]
    return [metrics.index(name) for name in names if name in metrics]


def apart(questions: Questions, scene: Scene, told: Sequence[int]) -> Apart | None:
    """What the channels that were not told answer at the scene's last row; None where none of them spoke."""
    others = np.ones(questions.channels, dtype=bool)
    others[list(told)] = False
    if not others.any():
        return None
    found = [
        *_levels(questions, scene, others),
        *_roughness(questions, scene, others),
        *_jumps(questions, scene, others),
    ]
    return max((each for each in found if not math.isnan(each.answer)), key=_weight, default=None)


def _weight(found: Apart) -> tuple[bool, float]:
    """What lasts tells more than what just moved."""
    return found.answer > 1 and found.kind is not Kind.JUMP, found.answer


def _levels(questions: Questions, scene: Scene, others: Mask) -> list[Apart]:
    rows = scene.unbroken[-questions.window :]
    if len(rows) < questions.window:
        return []
    return [_among(Kind.LEVEL, questions.level_limit, *questions.level_shift(rows, scene.baseline), others)]


def _jumps(questions: Questions, scene: Scene, others: Mask) -> list[Apart]:
    rows = scene.undisturbed[-questions.history - 1 :]
    if len(rows) <= questions.jump_needs or not questions.jump_channels.size:
        return []
    return [_among(Kind.JUMP, questions.jump_limit, *questions.jump_shift(rows), others)]


def _roughness(questions: Questions, scene: Scene, others: Mask) -> list[Apart]:
    rows = scene.unbroken[-questions.window - 1 :]
    if len(rows) <= questions.window:
        return []
    steps = np.where(others, questions.rough_steps(rows)[-1], 0.0)
    parts = steps / questions.rough_limit
    return [Apart(Kind.ROUGHNESS, float(parts.max()), parts, normalised(excesses(questions, steps)))]


def _among(kind: Kind, limit: Ellipsoid, shift: Floats, heard: Mask | None, others: Mask) -> Apart:
    mask = others if heard is None else others & heard[-1]
    answer = float(limit.distance(shift[-1:], mask[None, :])[0])
    return Apart(kind, answer, limit.parts(shift[-1], mask), normalised(limit.savings(shift[-1], mask)))
