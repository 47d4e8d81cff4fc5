"""Why the detector thinks so: each sensor's share, and what was seen against what was expected."""

from __future__ import annotations

import enum
import math
from collections.abc import Mapping

import msgspec
import numpy as np

from detection.model import Model
from detection.questions import Mask, Questions
from detection.rows import SILENT, STEPS, Floats, Ints, Rows

# What a person sees on a chart of readings: 99.7 % of healthy ones stay within three deviations.
_CHART_DEVIATIONS = 3.0
# Sensors worth naming, and sensors whose readings are kept as a picture of the window.
_NAMED, _DRAWN = 8, 3


class Kind(enum.StrEnum):
    """Which question was answered with yes."""

    LEVEL = "level"
    JUMP = "jump"
    ROUGHNESS = "roughness"


class Sensor(msgspec.Struct, frozen=True, kw_only=True):
    """One sensor's part in it: share 0 to 1, the rest in the sensor's own unit.

    `seen` is the window's mean (for roughness: the reading furthest out) and `expected` the centre it is compared with;
    between `expected_low` and `expected_high` it would pass as healthy. `ratio` (roughness only) is how many times
    its usual going back and forth it shows.
    """

    name: str
    unit: str = ""
    share: float
    seen: float
    expected: float
    expected_low: float
    expected_high: float
    ratio: float | None = None

    @property
    def outside(self) -> bool:
        """Is what was seen beyond what would pass as healthy?"""
        return not self.expected_low <= self.seen <= self.expected_high


class Findings(msgspec.Struct, frozen=True, kw_only=True):
    """Why, in numbers. `sensors` by share, the largest first; the readings before and at the deciding row as n times
    (`window_ms`) and, for each sensor drawn, n values (`window`, None: silent).
    """

    kind: Kind
    sensors: list[Sensor]
    window_ms: list[int]
    window: dict[str, list[float | None]]


class Explanation(Findings, frozen=True, kw_only=True):
    """The findings with one sentence per language (en, pt), true since `since_ms`; frozen when said."""

    since_ms: int
    sentence: dict[str, str]


class Scene(msgspec.Struct, frozen=True):
    """What there is to look at: the rows up to the deciding one, their times, and the last `fresh` without a gap."""

    rows: Rows
    times: Ints
    fresh: int
    baseline: Ints

    @property
    def unbroken(self) -> Rows:
        """The rows since the last hole in the data."""
        return self.rows[max(len(self.rows) - self.fresh, 0) :]


def findings(model: Model, questions: Questions, scene: Scene, units: Mapping[str, str]) -> Findings:
    """What there is to say about the scene's last row. `units`: metric → unit."""
    kind, shares = shares_of(questions, scene)
    order = [int(channel) for channel in np.argsort(-shares, kind="stable") if shares[channel] > 0]
    sensors = [_sensor(model, questions, scene, kind, channel, float(shares[channel])) for channel in order[:_NAMED]]
    return Findings(
        kind=kind,
        sensors=[msgspec.structs.replace(sensor, unit=units.get(sensor.name, "")) for sensor in sensors],
        window_ms=scene.times.tolist(),
        window={
            model.metrics[channel]: _readings(model, scene.rows[:, channel], channel) for channel in order[:_DRAWN]
        },
    )


def shares_of(questions: Questions, scene: Scene) -> tuple[Kind, Floats]:
    """The question with the largest answer, and each channel's share (k) in it."""
    fresh = scene.unbroken
    answers = {Kind.LEVEL: float(questions.level(fresh[-questions.window :], scene.baseline)[-1])}
    if len(fresh) > questions.window:
        answers[Kind.ROUGHNESS] = float(questions.roughness(fresh[-questions.window - 1 :])[-1])
    if len(fresh) > questions.jump_needs and questions.jump_channels.size:
        answers[Kind.JUMP] = float(questions.jump(fresh[-questions.history - 1 :])[-1])
    kind = max(answers, key=lambda question: np.nan_to_num(answers[question], nan=-1.0))
    return kind, _normalised(_contributions(kind, questions, fresh, scene.baseline))


def _contributions(kind: Kind, questions: Questions, fresh: Rows, baseline: Ints) -> Floats:
    """Per channel (k): for a distance (S⁻¹m)ⱼ² / (S⁻¹)ⱼⱼ, the part that is gone when the channel is left free.

    Mason, Tracy, Young: Decomposition of T² for multivariate control chart interpretation, J. Quality Technology 1995.
    """
    if kind is Kind.ROUGHNESS:
        steps = questions.rough_steps(fresh[-questions.window - 1 :])[-1]
        excess = np.maximum(steps - questions.rough_normal, 0)
        return np.asarray((excess if excess.any() else steps) / questions.rough_limit) ** 2
    if kind is Kind.LEVEL:
        shift, heard = questions.level_shift(fresh[-questions.window :], baseline)
        return _savings(shift[-1], questions.level_limit, None if heard is None else heard[-1])
    shift, heard = questions.jump_shift(fresh[-questions.history - 1 :])
    out = np.zeros(len(baseline))
    out[questions.jump_channels] = _savings(shift[-1], questions.jump_limit, None if heard is None else heard[-1])
    return out


def _savings(shift: Floats, limit: Floats, heard: Mask | None) -> Floats:
    spoke = np.ones(len(shift), dtype=bool) if heard is None else heard
    out = np.zeros(len(shift))
    precision = np.linalg.inv(limit[np.ix_(spoke, spoke)])
    out[spoke] = (precision @ shift[spoke]) ** 2 / np.diag(precision)
    return out


def _normalised(contributions: Floats) -> Floats:
    total = contributions.sum()
    return contributions / total if total > 0 else contributions


def _sensor(model: Model, questions: Questions, scene: Scene, kind: Kind, channel: int, share: float) -> Sensor:
    column = scene.rows[-questions.window :, channel]
    healthy = np.zeros(0) if (column == SILENT).any() else column / STEPS
    base = float(scene.baseline[channel]) / STEPS
    seen = float(healthy.mean()) if healthy.size else base
    ratio, expected, half = None, base, min(_CHART_DEVIATIONS, float(questions.reach[channel]))
    if kind is Kind.JUMP and channel in questions.jump_channels:
        place = int(np.searchsorted(questions.jump_channels, channel))
        shift = questions.jump_shift(scene.unbroken[-questions.history - 1 :])[0][-1, place]
        expected, half = seen - float(shift), float(np.sqrt(questions.jump_limit[place, place]))
    if kind is Kind.ROUGHNESS and healthy.size:
        seen = float(healthy[np.argmax(np.abs(healthy - base))])
        steps = float(questions.rough_steps(scene.rows[-questions.window - 1 :])[-1, channel])
        ratio = round(steps / max(model.rough_normal[channel], 1e-9), 2)
    unit, zero, places = model.deviation[channel], model.centre[channel], _decimals(model.deviation[channel])
    return Sensor(
        name=model.metrics[channel],
        share=round(share, 4),
        seen=round(zero + unit * seen, places),
        expected=round(zero + unit * expected, places),
        expected_low=round(zero + unit * (expected - half), places),
        expected_high=round(zero + unit * (expected + half), places),
        ratio=ratio,
    )


def _readings(model: Model, column: Rows, channel: int) -> list[float | None]:
    zero, unit, places = model.centre[channel], model.deviation[channel], _decimals(model.deviation[channel])
    return [None if step == SILENT else round(zero + unit * step / STEPS, places) for step in column.tolist()]


def _decimals(deviation: float) -> int:
    """Values are shown, not computed with: a hundredth of the healthy deviation is as fine as anybody can see."""
    return max(0, 2 - math.floor(math.log10(deviation)))
