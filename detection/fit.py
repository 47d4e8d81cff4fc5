"""Learn what healthy running of one machine looks like, and say how far that can be trusted."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from detection import learning
from detection.detector import Detector
from detection.errors import FitError
from detection.model import MAX_CHANNELS, Model
from detection.regimes import RegimeGate
from detection.regimes_fit import learn_regimes
from detection.returning import learn_slow
from detection.rows import Floats, Ints, arranged, scaled
from detection.sensors import learn_habits
from detection.settings import Settings
from detection.wild import without_wild

# Two minutes at 1 Hz hold six independent windows of 20: below that, limits are guesses.
MIN_ROWS = 120
# A machine comes up to speed within a minute; of a short recording at most an eighth is given up for it.
_WARM_UP_ROWS, _WARM_UP_SHARE = 60, 8
# A channel that spoke in fewer than nine of ten rows, its last value held for a window, cannot be judged.
_MIN_COVERAGE = 0.9
# Below a billionth of its own size a change is rounding.
_ROUNDING = 1e-9


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was learned from, and how well it predicts itself.

    `exceedance` is label-free: learned on the first two thirds, the share of rows of the last third beyond the limit
    (None when two thirds are too few to learn from). `excluded`: channel → why. `largest`: the largest healthy distance
    before the limit is set, 3 to 5 for well-behaved channels; `factor`: how many times that the limit is, the
    sensitivity or more, see `learning.point`.
    """

    rows: int
    trained_from_ms: int
    trained_through_ms: int
    cadence_ms: int
    channels: int
    excluded: dict[str, str]
    drifting: list[str]
    largest: float
    factor: float
    operating_points: int
    exceedance: float | None
    data_hash: str


class Learned(NamedTuple):
    """What one look at the rows gives."""

    model: Model
    excluded: dict[str, str]
    points: list[learning.Point]

    @property
    def jumpers(self) -> list[list[int]]:
        """Per operating point the channels that drift in health."""
        return [point.normal.jump_channels for point in self.points]


class Fitted(msgspec.Struct, frozen=True):
    """A model and the report on its making."""

    model: Model
    report: Report


def fit(
    values: Floats, measured_at_ms: Sequence[int] | Ints, metrics: Sequence[str], settings: Settings | None = None
) -> Fitted:
    """Learn from n healthy readings: values (n, k; NaN where missing), times (n), names (k).

    Raises: FitError saying what is missing when nothing can be learned.
    """
    settings = settings or Settings()
    settings.check()
    values, times = _ordered(values, measured_at_ms, metrics)
    learned = _learn(values, times, metrics, settings)
    exceedance = _exceedance(values, times, metrics, settings)
    model = msgspec.structs.replace(learned.model, rows=len(times), exceedance=exceedance)
    model.check()
    report = Report(
        rows=len(times),
        trained_from_ms=int(times[0]),
        trained_through_ms=int(times[-1]),
        cadence_ms=model.cadence_ms,
        channels=len(model.metrics),
        excluded=learned.excluded,
        drifting=[
            name for channel, name in enumerate(model.metrics) if any(channel in jump for jump in learned.jumpers)
        ],
        largest=round(max(point.largest for point in learned.points), 3),
        factor=round(max(point.factor for point in learned.points), 3),
        operating_points=model.regimes.running,
        exceedance=exceedance,
        data_hash=data_hash(values, times, metrics),
    )
    return Fitted(model, report)


def data_hash(values: Floats, measured_at_ms: Sequence[int] | Ints, metrics: Sequence[str]) -> str:
    """The checksum of rows as learned from: the same rows give the same, whatever the order of their columns."""
    order = sorted(range(len(metrics)), key=lambda column: metrics[column])
    columns = np.where(np.isnan(values), np.nan, values)[:, order]
    digest = hashlib.sha256(msgspec.json.encode([metrics[column] for column in order]))
    digest.update(np.ascontiguousarray(measured_at_ms, dtype="<i8").tobytes())
    digest.update(np.ascontiguousarray(columns, dtype="<f8").tobytes())
    return digest.hexdigest()


def _ordered(values: Floats, measured_at_ms: Sequence[int] | Ints, metrics: Sequence[str]) -> tuple[Floats, Ints]:
    values, times = np.asarray(values, dtype=np.float64), np.asarray(measured_at_ms, dtype=np.int64)
    if values.shape != (len(times), len(metrics)):
        raise FitError(f"{len(times)} times and {len(metrics)} metrics do not fit values of the shape {values.shape}")
    if not 1 <= len(metrics) <= MAX_CHANNELS or len(set(metrics)) != len(metrics):
        raise FitError(f"1 to {MAX_CHANNELS} metrics with different names can be learned, here are {len(metrics)}")
    if len(times) < MIN_ROWS:
        raise FitError(f"{len(times)} rows are too few to learn from; at least {MIN_ROWS} are needed")
    if np.isinf(values).any():
        raise FitError("a value is infinite; leave such rows out")
    order = np.argsort(times, kind="stable")
    return values[order], times[order]


def _learn(values: Floats, times: Ints, metrics: Sequence[str], settings: Settings) -> Learned:
    warm_up = min(_WARM_UP_ROWS, len(times) // _WARM_UP_SHARE)
    values, times = values[warm_up:], times[warm_up:]
    cadence = max(1, int(np.median(np.diff(times))))
    excluded = {name: why for column, name in enumerate(metrics) if (why := _useless(values[:, column], settings))}
    kept = [name for name in metrics if name not in excluded]
    if not kept:
        raise FitError("no channel can be learned: " + ", ".join(f"{name} {why}" for name, why in excluded.items()))
    columns = without_wild(arranged(values, metrics, kept))
    regimes = learn_regimes(columns, times)
    places = RegimeGate(regimes).assign(columns)
    busiest = places == int(np.argmax(np.bincount(places[places >= 0], minlength=regimes.running)[: regimes.running]))
    centre, deviation = np.nanmean(columns[busiest], axis=0), np.nanstd(columns[busiest], axis=0)
    if not (deviation > 0).all():
        raise FitError("a channel never changed while the machine ran at its usual speed; leave it out")
    rows = scaled(columns, centre, deviation)
    gap_ms = settings.window * cadence
    parts = [
        learning.stretches(rows, times, gap_ms, settings.window, places == point) for point in range(regimes.running)
    ]
    points = [learning.point(each, settings) for each in parts]
    if not any(points):
        raise FitError(
            f"the rows are too broken up: no operating point has {learning.MIN_WINDOWS} windows of {settings.window} "
            "rows without a hole, with every channel speaking"
        )
    model = Model(
        settings=settings,
        metrics=kept,
        cadence_ms=cadence,
        rows=len(times),
        exceedance=None,
        centre=centre.tolist(),
        deviation=deviation.tolist(),
        deciles=np.nanquantile(columns[busiest], np.linspace(0, 1, 11), axis=0).T.tolist(),
        regimes=regimes,
        normals=[None if each is None else each.normal for each in points],
        habits=learn_habits(columns, (places >= 0) & (places < regimes.running)),
        slow=learn_slow(columns, places, regimes),
    )
    return Learned(model, excluded, [each for each in points if each is not None])


def _useless(column: Floats, settings: Settings) -> str | None:
    """Why nothing can be learned from a channel (n), or None."""
    heard = np.isfinite(column)
    at = np.arange(len(column))
    last = np.maximum.accumulate(np.where(heard, at, -settings.window - 1))
    if np.mean(at - last <= settings.window) < _MIN_COVERAGE:
        return "was silent most of the time" if heard.any() else "was silent"
    spoken = column[heard]
    if np.ptp(spoken) <= _ROUNDING * np.abs(spoken).max():
        return "never changed"
    return None


def _exceedance(values: Floats, times: Ints, metrics: Sequence[str], settings: Settings) -> float | None:
    """Learn on the first two thirds; the share of judged rows of the last third beyond the limit."""
    cut = len(times) * 2 // 3
    if cut < MIN_ROWS:
        return None
    try:
        model = _learn(values[:cut], times[:cut], metrics, settings).model
    except FitError:
        return None
    detector = Detector(model)
    detector.process(times[cut:], values[cut:].T, metrics)
    judged = detector.scores[~np.isnan(detector.scores)]
    return round(float((judged > 1).mean()), 4) if len(judged) else None
