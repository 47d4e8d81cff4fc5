"""Learn what healthy running of one machine looks like, and say how far that can be trusted."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import msgspec
import numpy as np

from detection import learning
from detection.detector import Detector
from detection.errors import FitError
from detection.model import MAX_CHANNELS, Model
from detection.rows import Floats, Ints, arranged, scaled
from detection.settings import Settings

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
    before the sensitivity, 3 to 5 for well-behaved channels.
    """

    rows: int
    trained_from_ms: int
    trained_through_ms: int
    cadence_ms: int
    channels: int
    excluded: dict[str, str]
    drifting: list[str]
    largest: float
    exceedance: float | None
    data_hash: str


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
    model, excluded, largest = _learn(values, times, metrics, settings)
    report = Report(
        rows=len(times),
        trained_from_ms=int(times[0]),
        trained_through_ms=int(times[-1]),
        cadence_ms=model.cadence_ms,
        channels=len(model.metrics),
        excluded=excluded,
        drifting=[model.metrics[channel] for channel in model.jump_channels],
        largest=round(largest, 3),
        exceedance=_exceedance(values, times, metrics, settings),
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


def _learn(
    values: Floats, times: Ints, metrics: Sequence[str], settings: Settings
) -> tuple[Model, dict[str, str], float]:
    warm_up = min(_WARM_UP_ROWS, len(times) // _WARM_UP_SHARE)
    values, times = values[warm_up:], times[warm_up:]
    cadence = max(1, int(np.median(np.diff(times))))
    excluded = {name: why for column, name in enumerate(metrics) if (why := _useless(values[:, column], settings))}
    kept = [name for name in metrics if name not in excluded]
    if not kept:
        raise FitError("no channel can be learned: " + ", ".join(f"{name} {why}" for name, why in excluded.items()))
    columns = arranged(values, metrics, kept)
    centre, deviation = np.nanmean(columns, axis=0), np.nanstd(columns, axis=0)
    parts = learning.stretches(scaled(columns, centre, deviation), times, settings.window * cadence, settings.window)
    drift = learning.drift(parts) if parts else np.zeros(len(kept))
    level_limit, largest = learning.level_limit(parts, drift, settings)
    jump_channels, jump_limit = learning.jump_limit(parts, drift, settings)
    rough_normal, rough_limit = learning.rough_limit(parts, settings)
    model = Model(
        settings=settings,
        metrics=kept,
        cadence_ms=cadence,
        centre=centre.tolist(),
        deviation=deviation.tolist(),
        drift=drift.tolist(),
        level_limit=level_limit.tolist(),
        jump_channels=jump_channels,
        jump_limit=jump_limit.tolist(),
        rough_normal=rough_normal.tolist(),
        rough_limit=rough_limit.tolist(),
    )
    model.check()
    return model, excluded, largest


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
        model, _, _ = _learn(values[:cut], times[:cut], metrics, settings)
    except FitError:
        return None
    detector = Detector(model)
    detector.process(times[cut:], values[cut:].T, metrics)
    judged = detector.scores[~np.isnan(detector.scores)]
    return round(float((judged > 1).mean()), 4) if len(judged) else None
