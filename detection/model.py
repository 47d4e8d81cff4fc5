"""What healthy running of one machine looks like: a few arrays as JSON. Data, never code."""

from __future__ import annotations

import enum
import hashlib
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detection.errors import ModelError
from detection.regimes import Regimes
from detection.returning import SlowChannels
from detection.sensors import SensorHabits
from detection.settings import Settings

FORMAT = 2
# Room for 64 channels with two full matrices at four speeds; a real model of eight channels has about 6 kB.
MAX_BYTES = 1 << 21
MAX_CHANNELS = 64
# After half an hour of the pump rig none of the next 750 healthy rows alarmed; after 400 rows a third did.
_READY_AFTER_MS = 30 * 60_000
# Slow machines tell less in half an hour: as many rows as eight windows of 20, at least.
_READY_ROWS = 160
# One row in twenty beyond the limit is what the label-free choice of the limit allows.
_READY_EXCEEDANCE = 0.05

Floats = NDArray[np.float64]


class Maturity(enum.StrEnum):
    """How far a model can be trusted: young until it has seen enough, and foresaw its own last third."""

    YOUNG = "young"
    READY = "ready"


class Normal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is normal at one operating point: three questions with their limits, in healthy deviations (k channels).

    level: is the mean of a window away from `centre` (k)? A Mahalanobis distance of 1 under `level_limit` (k × k) is
    the limit. jump: did a channel that drifts in health (`jump_channels`) move faster than it ever did? Same,
    `jump_limit`. roughness: does a channel go back and forth more than ever? Beyond `rough_limit` (k), usual
    `rough_normal`.
    """

    centre: list[float]
    drift: list[float]
    level_limit: list[list[float]]
    jump_channels: list[int]
    jump_limit: list[list[float]]
    rough_normal: list[float]
    rough_limit: list[float]

    def check(self, k: int) -> None:
        """Raises: ModelError when the arrays do not fit `k` channels or could not judge anything."""
        for name in ("centre", "drift", "rough_normal", "rough_limit"):
            _array(name, getattr(self, name), (k,))
        if min(self.rough_limit) <= 0:
            raise ModelError("rough_limit must be above 0 in every channel")
        _ellipsoid("level_limit", self.level_limit, k)
        channels = self.jump_channels
        if sorted(set(channels)) != channels or not all(0 <= channel < k for channel in channels):
            raise ModelError(f"jump_channels must be rising and below {k}, these are {channels}")
        if channels or self.jump_limit:
            _ellipsoid("jump_limit", self.jump_limit, len(channels))


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Healthy running of a machine with k channels.

    `centre` and `deviation` (k) scale values to healthy deviations; `regimes` tell where the machine is, `normals` what
    is normal there (one per running point, None where it was seen too briefly to judge), `habits` what a working sensor
    does, `slow` which channels take their time after a start. `deciles` (k × 11) are the healthy values' 0, 10, … 100 %
    points, to compare later readings with. Learned from `rows` readings; `exceedance` (0 to 1) is the share of one
    third beyond the limit that the other two give, the larger of the first and the last.
    """

    format: int = FORMAT
    settings: Settings
    metrics: list[str]
    cadence_ms: int
    rows: int
    exceedance: float | None
    centre: list[float]
    deviation: list[float]
    deciles: list[list[float]]
    regimes: Regimes
    normals: list[Normal | None]
    habits: SensorHabits
    slow: SlowChannels

    @property
    def maturity(self) -> Maturity:
        """Young when learned from less than half an hour, or when its last third was not like what came before."""
        seen = self.rows * self.cadence_ms >= _READY_AFTER_MS and self.rows >= _READY_ROWS
        foreseen = self.exceedance is not None and self.exceedance <= _READY_EXCEEDANCE
        return Maturity.READY if seen and foreseen else Maturity.YOUNG

    def to_bytes(self) -> bytes:
        """The model as JSON: what is logged, hashed and loaded."""
        return msgspec.json.encode(self)

    @classmethod
    def from_bytes(cls, payload: bytes) -> Model:
        """The reverse of `to_bytes`. Raises: ModelError saying what is wrong with the bytes."""
        if len(payload) > MAX_BYTES:
            raise ModelError(f"a model has at most {MAX_BYTES} bytes, this one {len(payload)}")
        try:
            found = msgspec.json.decode(payload, type=_Format).format
            if found != FORMAT:
                raise ModelError(f"the model has format {found}, this program reads {FORMAT}; train again")
            model = msgspec.json.decode(payload, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ModelError(f"not a model: {error}") from error
        model.check()
        return model

    def check(self) -> None:
        """Raises: ModelError when the arrays do not fit each other or could not judge anything."""
        if self.format != FORMAT:
            raise ModelError(f"the model has format {self.format}, this program reads {FORMAT}; train again")
        self.settings.check()
        k = len(self.metrics)
        if not 1 <= k <= MAX_CHANNELS or len(set(self.metrics)) != k:
            raise ModelError(f"a model has 1 to {MAX_CHANNELS} channels with different names, this one {k}")
        if self.cadence_ms < 1 or self.rows < 1:
            raise ModelError(f"cadence_ms and rows must be 1 or more, these are {self.cadence_ms} and {self.rows}")
        for name in ("centre", "deviation"):
            _array(name, getattr(self, name), (k,))
        if min(self.deviation) <= 0:
            raise ModelError("deviation must be above 0 in every channel")
        if (np.diff(_array("deciles", self.deciles, (k, 11)), axis=1) < 0).any():
            raise ModelError("deciles must not fall")
        self.regimes.check(k)
        if len(self.normals) != self.regimes.running or not any(self.normals):
            raise ModelError("there must be a normal for every operating point at which the machine runs, or None")
        self.habits.check(k)
        self.slow.check(k, self.regimes.running)
        for normal in filter(None, self.normals):
            normal.check(k)


class _Format(msgspec.Struct):
    format: int


def sha256(payload: bytes) -> str:
    """The checksum that names a model's bytes, 64 hexadecimal digits."""
    return hashlib.sha256(payload).hexdigest()


def _array(name: str, values: list[Any], shape: tuple[int, ...]) -> Floats:
    try:
        array = np.asarray(values, dtype=np.float64)
    except ValueError as error:
        raise ModelError(f"{name} is not an array of numbers: {error}") from error
    if array.shape != shape:
        raise ModelError(f"{name} must have the shape {shape}, it has {array.shape}")
    if not np.isfinite(array).all():
        raise ModelError(f"{name} holds a number that is not finite")
    return array


def _ellipsoid(name: str, values: list[list[float]], k: int) -> None:
    matrix = _array(name, values, (k, k))
    if not np.allclose(matrix, matrix.T, rtol=1e-9):
        raise ModelError(f"{name} must be symmetric")
    try:
        np.linalg.cholesky(matrix)
    except np.linalg.LinAlgError as error:
        raise ModelError(f"{name} must be positive definite: no direction without a limit") from error
