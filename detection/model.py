"""What healthy running of one machine looks like: a few arrays as JSON. Data, never code."""

from __future__ import annotations

import hashlib
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from detection.errors import ModelError
from detection.settings import Settings

FORMAT = 1
# Room for 64 channels with two full matrices; a real model of eight channels has about 5 kB.
MAX_BYTES = 1 << 20
MAX_CHANNELS = 64

Floats = NDArray[np.float64]


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Three questions with their limits, for k channels, all in units of each channel's healthy deviation.

    level: is the mean of a window elsewhere? A Mahalanobis distance of 1 under `level_limit` (k × k) is the limit.
    jump: did a channel that drifts in health (`jump_channels`) move faster than it ever did? Same, `jump_limit`.
    roughness: does a channel go back and forth more than it ever did? Beyond `rough_limit` (k); usual: `rough_normal`.
    """

    format: int = FORMAT
    settings: Settings
    metrics: list[str]
    cadence_ms: int
    centre: list[float]
    deviation: list[float]
    drift: list[float]
    level_limit: list[list[float]]
    jump_channels: list[int]
    jump_limit: list[list[float]]
    rough_normal: list[float]
    rough_limit: list[float]

    def to_bytes(self) -> bytes:
        """The model as JSON: what is logged, hashed and loaded."""
        return msgspec.json.encode(self)

    @classmethod
    def from_bytes(cls, payload: bytes) -> Model:
        """The reverse of `to_bytes`. Raises: ModelError saying what is wrong with the bytes."""
        if len(payload) > MAX_BYTES:
            raise ModelError(f"a model has at most {MAX_BYTES} bytes, this one {len(payload)}")
        try:
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
        if self.cadence_ms < 1:
            raise ModelError(f"cadence_ms must be 1 or more, this one is {self.cadence_ms}")
        for name in ("centre", "deviation", "drift", "rough_normal", "rough_limit"):
            _array(name, getattr(self, name), (k,))
        if min(self.deviation) <= 0 or min(self.rough_limit) <= 0:
            raise ModelError("deviation and rough_limit must be above 0 in every channel")
        _ellipsoid("level_limit", self.level_limit, k)
        self._check_jump(k)

    def _check_jump(self, k: int) -> None:
        channels = self.jump_channels
        if sorted(set(channels)) != channels or not all(0 <= channel < k for channel in channels):
            raise ModelError(f"jump_channels must be rising and below {k}, these are {channels}")
        if channels or self.jump_limit:
            _ellipsoid("jump_limit", self.jump_limit, len(channels))


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
