"""Why the detector thinks so: each sensor's share, and what was seen against what was expected."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import msgspec
import numpy as np

from detection.kinds import Kind
from detection.model import Model
from detection.questions import Questions
from detection.rows import SILENT, STEPS, Floats, Ints, Rows

# What a person sees on a chart of readings: 99.7 % of healthy ones stay within three deviations.
_CHART_DEVIATIONS = 3.0
# Sensors worth naming, and sensors whose readings are kept as a picture of the window.
_NAMED, _DRAWN = 8, 3


class Sensor(msgspec.Struct, frozen=True, kw_only=True):
    """One sensor's part in it: share 0 to 1, the rest in the sensor's own unit.

    `seen` is the window's mean (for roughness: the reading furthest out) and `expected` the centre it is compared with;
    between `expected_low` and `expected_high` it would pass as healthy. `ratio` is how many times its usual going back
    and forth it shows, whatever the question; None where it was silent, or a window and a row are not there yet.
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
    """What there is to look at: the rows up to the deciding one, and their times.

    The last `fresh` follow each other without a hole, the last `calm` of them since an alarm was over.
    """

    rows: Rows
    times: Ints
    fresh: int
    calm: int
    baseline: Ints

    @property
    def unbroken(self) -> Rows:
        """The rows since the last hole in the data."""
        return self.rows[max(len(self.rows) - self.fresh, 0) :]

    @property
    def undisturbed(self) -> Rows:
        """The rows since the last alarm was over."""
        return self.rows[max(len(self.rows) - self.calm, 0) :]


def findings(
    model: Model,
    questions: Questions,
    scene: Scene,
    units: Mapping[str, str],
    news: tuple[Kind, Floats] | None = None,
) -> Findings:
    """What there is to say about the scene's last row. `units`: metric → unit.

    `news`: the question to speak of and each channel's share (k) in it, by default those of the largest answer.
    """
    kind, shares = shares_of(questions, scene) if news is None else news
    ranked = [int(channel) for channel in np.argsort(-shares, kind="stable")]
    order = [channel for channel in ranked if shares[channel] > 0]
    # What stayed as usual tells as much: with "current unchanged" more vibration is no matter of load.
    heard = (scene.rows[-questions.window :] != SILENT).all(axis=0)
    told = order + [channel for channel in ranked if shares[channel] == 0 and heard[channel]]
    ratios = _ratios(questions, scene)
    sensors = [
        _sensor(model, questions, scene, kind, channel, share=float(shares[channel]), ratio=ratios[channel])
        for channel in told[:_NAMED]
    ]
    return Findings(
        kind=kind,
        sensors=[msgspec.structs.replace(sensor, unit=units.get(sensor.name, "")) for sensor in sensors],
        window_ms=scene.times.tolist(),
        window=window_of(model, scene, order),
    )


def window_of(model: Model, scene: Scene, channels: Sequence[int]) -> dict[str, list[float | None]]:
    """The readings of the first few of `channels` as a picture: name → a value for each of the scene's times."""
    return {model.metrics[channel]: _readings(model, scene.rows[:, channel], channel) for channel in channels[:_DRAWN]}


def shares_of(questions: Questions, scene: Scene) -> tuple[Kind, Floats]:
    """The question with the largest answer, and each channel's share (k) in it."""
    found = answers(questions, scene)
    kind = decisive(found[Kind.LEVEL], found.get(Kind.ROUGHNESS, -1.0), found.get(Kind.JUMP, -1.0))
    return kind, normalised(_contributions(kind, questions, scene))


def decisive(level: float, roughness: float, jump: float) -> Kind:
    """The question to speak of, by the answers; -1 where one cannot be asked."""
    if jump > max(level, roughness):
        # What lasts tells more than what just moved: the temperature that rises with a bearing is not the bearing.
        return Kind.LEVEL if level > 1 else Kind.JUMP
    return Kind.ROUGHNESS if roughness > level else Kind.LEVEL


def answers(questions: Questions, scene: Scene) -> dict[Kind, float]:
    """Each question's answer at the scene's last row, 1 is the limit; -1 where every sensor it needs was silent."""
    fresh = scene.unbroken
    found = {Kind.LEVEL: float(questions.level(fresh[-questions.window :], scene.baseline)[-1])}
    if len(fresh) > questions.window:
        found[Kind.ROUGHNESS] = float(questions.roughness(fresh[-questions.window - 1 :])[-1])
    before = scene.undisturbed
    if len(before) > questions.jump_needs and questions.jump_channels.size:
        found[Kind.JUMP] = float(questions.jump(before[-questions.history - 1 :])[-1])
    return {kind: -1.0 if math.isnan(answer) else answer for kind, answer in found.items()}


def _contributions(kind: Kind, questions: Questions, scene: Scene) -> Floats:
    """Each channel's part (k) in one question's answer at the scene's last row."""
    fresh, baseline = scene.unbroken, scene.baseline
    if kind is Kind.ROUGHNESS:
        return excesses(questions, questions.rough_steps(fresh[-questions.window - 1 :])[-1])
    if kind is Kind.LEVEL:
        shift, heard = questions.level_shift(fresh[-questions.window :], baseline)
        return questions.level_limit.savings(shift[-1], None if heard is None else heard[-1])
    shift, heard = questions.jump_shift(scene.undisturbed[-questions.history - 1 :])
    return questions.jump_limit.savings(shift[-1], None if heard is None else heard[-1])


def excesses(questions: Questions, steps: Floats) -> Floats:
    """Each channel's part (k) in roughness: by how much it goes back and forth (`steps`, k) beyond what is usual."""
    excess = np.maximum(steps - questions.rough_normal, 0)
    return np.asarray((excess if excess.any() else steps) / questions.rough_limit) ** 2


def normalised(contributions: Floats) -> Floats:
    total = contributions.sum()
    return contributions / total if total > 0 else contributions


def _ratios(questions: Questions, scene: Scene) -> list[float | None]:
    """How many times its usual going back and forth each channel shows at the scene's last row."""
    rows = scene.unbroken[-questions.window - 1 :]
    if len(rows) <= questions.window:
        return [None] * rows.shape[1]
    times = questions.rough_steps(rows)[-1] / np.maximum(questions.rough_normal, 1e-9)
    silent = (rows == SILENT).any(axis=0)
    return [None if out else round(ratio, 2) for ratio, out in zip(times.tolist(), silent.tolist(), strict=True)]


def _sensor(
    model: Model, questions: Questions, scene: Scene, kind: Kind, channel: int, *, share: float, ratio: float | None
) -> Sensor:
    column = scene.rows[-questions.window :, channel]
    healthy = np.zeros(0) if (column == SILENT).any() else column / STEPS
    base = float(scene.baseline[channel]) / STEPS
    seen = float(healthy.mean()) if healthy.size else base
    expected, half = base, min(_CHART_DEVIATIONS, float(questions.reach[channel]))
    if kind is Kind.JUMP and channel in questions.jump_channels:
        shift = questions.jump_shift(scene.undisturbed[-questions.history - 1 :])[0][-1, channel]
        expected, half = seen - float(shift), questions.jump_limit.own(channel)
    if kind is Kind.ROUGHNESS and healthy.size:
        seen = float(healthy[np.argmax(np.abs(healthy - base))])
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
