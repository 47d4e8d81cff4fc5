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
from detection.regimes import STARTING, RegimeGate
from detection.regimes_fit import learn_regimes
from detection.returning import learn_slow
from detection.roles import Quantity, role_of
from detection.rows import Floats, Ints, arranged, scaled
from detection.sensors import learn_habits
from detection.settings import Settings
from detection.wild import without_wild

# Two minutes at 1 Hz hold six independent windows of 20: below that, limits are guesses.
MIN_ROWS = 120
# A machine comes up to speed within a minute; of a short recording at most an eighth is given up for it.
_WARM_UP_ROWS, _WARM_UP_SHARE = 60, 8
# One row of a stop among those learned from made limits five times as wide.
_EDGE_ROWS = 3
# A channel that spoke in fewer than nine of ten rows, its last value held for a window, cannot be judged.
_MIN_COVERAGE = 0.9
# EN 50160 lets the mains go up and down by 10 % within a week, and half an hour of it may stand still. Half its
# variance in slow changes is what the temperatures of SKAB's rig have at least (record 18).
_GRID_DRIFT = 0.5
# Below a billionth of its own size a change is rounding.
_ROUNDING = 1e-9


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What was learned from, and how well it predicts itself.

    `exceedance` is label-free: learned on the first two thirds, the share of rows of the last third beyond the limit
    (None when two thirds are too few to learn from). `excluded`: channel → why. `largest`: the largest healthy distance
    before the limit is set, 3 to 5 for well-behaved channels; `factor`: how many times that the limit is, see
    `learning.point`.
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
    exceedance, backwards = _exceedances(values, times, metrics, settings)
    worse = max((share for share in (exceedance, backwards) if share is not None), default=None)
    model = msgspec.structs.replace(learned.model, rows=len(times), exceedance=worse)
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
    steps = np.diff(times)
    # Bursts and whole-second stamps repeat a time: only what moves on tells the cadence.
    cadence = int(np.median(steps[steps > 0])) if (steps > 0).any() else 1
    excluded = {name: why for column, name in enumerate(metrics) if (why := _useless(values[:, column], settings))}
    kept = [name for name in metrics if name not in excluded]
    if not kept:
        raise FitError("no channel can be learned: " + ", ".join(f"{name} {why}" for name, why in excluded.items()))
    columns = without_wild(arranged(values, metrics, kept))
    quantities = [role_of(name).quantity for name in kept]
    regimes = learn_regimes(columns, times, quantities)
    places = _inside(RegimeGate(regimes).assign(columns))
    busiest = places == int(np.argmax(np.bincount(places[places >= 0], minlength=regimes.running)[: regimes.running]))
    centre, deviation = np.nanmean(columns[busiest], axis=0), np.nanstd(columns[busiest], axis=0)
    idle = {name for name, spread in zip(kept, deviation, strict=True) if not spread > 0}
    if idle:
        return _learn_without(idle, values, times, metrics, settings)
    rows = scaled(columns, centre, deviation)
    gap_ms = settings.window * cadence
    parts = [
        learning.stretches(rows, times, gap_ms, settings.window, places == point) for point in range(regimes.running)
    ]
    nature = np.array([_GRID_DRIFT if quantity is Quantity.VOLTAGE else 0.0 for quantity in quantities])
    drifts = learning.shared_drifts(parts, nature)
    points = [] if drifts is None else [learning.point(each, settings, drifts) for each in parts]
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
        slow=learn_slow(columns, places, regimes, quantities),
    )
    return Learned(model, excluded, [each for each in points if each is not None])


def _learn_without(idle: set[str], values: Floats, times: Ints, metrics: Sequence[str], settings: Settings) -> Learned:
    """A set-point that changes only while the machine stands says nothing about how it runs."""
    kept = [column for column, name in enumerate(metrics) if name not in idle]
    if not kept:
        raise FitError("no channel changed while the machine ran")
    learned = _learn(values[:, kept], times, [metrics[column] for column in kept], settings)
    return learned._replace(excluded=learned.excluded | dict.fromkeys(sorted(idle), "never changed while it ran"))


def _inside(places: Ints) -> Ints:
    """Operating points (n) without the rows around a change: the first of a stop still counts as running."""
    changes = np.flatnonzero(np.diff(places))
    inside = places.copy()
    for row in range(-_EDGE_ROWS + 1, _EDGE_ROWS + 1):
        inside[np.clip(changes + row, 0, len(places) - 1)] = STARTING
    return inside


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


def _exceedances(
    values: Floats, times: Ints, metrics: Sequence[str], settings: Settings
) -> tuple[float | None, float | None]:
    """Learn on two thirds; the share of judged rows of the other third beyond the limit: of the last, and of the first.

    Learned with a disturbance in them, the first two thirds would excuse anything: the last two do not know of it.
    """
    cut = len(times) * 2 // 3
    if cut < MIN_ROWS:
        return None, None
    forwards = _beyond(values, times, metrics, settings, slice(0, cut), slice(cut, None))
    return forwards, _beyond(
        values, times, metrics, settings, slice(len(times) - cut, None), slice(0, len(times) - cut)
    )


def _beyond(
    values: Floats, times: Ints, metrics: Sequence[str], settings: Settings, learn: slice, judge: slice
) -> float | None:
    try:
        detector = Detector(_learn(values[learn], times[learn], metrics, settings).model)
    except FitError:
        return None
    detector.process(times[judge], values[judge].T, metrics)
    judged = detector.scores[~np.isnan(detector.scores)]
    return round(float((judged > 1).mean()), 4) if len(judged) else None
