"""The detector's memory as bytes: kept with the position up to which it has judged, so that a crash skips nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from detection.episode import Episode
from detection.errors import DetectionError
from detection.explain import Explanation
from detection.recovery import Excursion
from detection.regimes import GateState
from detection.returning import ReturnState
from detection.rows import Ints, Rows
from detection.sensor_alarm import SensorAlarm
from detection.sensors import WatchState

FORMAT = 2


class Jumped(msgspec.Struct, frozen=True):
    """An alarm was raised because `channel` moved from `before` (steps) by `by`, faster than it ever did."""

    channel: int
    before: int
    by: int


class JudgeState(msgspec.Struct, frozen=True, kw_only=True):
    """What `detection.judge.Judge` goes on from; arrays are little-endian whole numbers.

    `fresh` rows follow each other without a hole, `calm` of them since an alarm was over; `quiet` rows since the last
    change point; `block_peak` is the largest score since the centre last had a chance to move; `baselines` are
    (anchor, centre) pairs, per operating point.
    """

    episode: Episode
    explanation: Explanation | None
    jumped: Jumped | None
    excursion: Excursion | None
    score: float
    fresh: int
    calm: int
    quiet: int
    block_peak: float | None
    baselines: list[list[tuple[bytes, bytes]]]
    rows: bytes
    times: bytes
    ages: bytes


class State(msgspec.Struct, frozen=True, kw_only=True):
    """All that the next reading's judgement depends on. `model` is the checksum of the model that left it."""

    format: int = FORMAT
    model: str
    position_ms: int | None
    skipped: int
    place: int | None
    gate: GateState
    returning: ReturnState
    sensor_watch: WatchState
    sensor_alarm: SensorAlarm
    health: list[int]
    judge: JudgeState


def to_bytes(state: State) -> bytes:
    """MessagePack: about 8 kB for eight channels, 15 kB while an anomaly is open."""
    return msgspec.msgpack.encode(state)


def from_bytes(payload: bytes) -> State:
    """The reverse. Raises: DetectionError for bytes that are no state of this format."""
    try:
        state = msgspec.msgpack.decode(payload, type=State)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise DetectionError(f"not a detector's state: {error}") from error
    if state.format != FORMAT:
        raise DetectionError(f"the state has format {state.format}, this program reads {FORMAT}; start afresh")
    return state


def packed(numbers: np.ndarray[Any, Any]) -> bytes:
    """Whole numbers (32 or 64 bits) as little-endian bytes."""
    return numbers.astype(numbers.dtype.newbyteorder("<"), copy=False).tobytes()


def wide(payload: bytes) -> Ints:
    """The reverse of `packed` for 64-bit numbers."""
    return np.frombuffer(payload, dtype="<i8").astype(np.int64)


def table(payload: bytes, channels: int) -> Rows:
    """The reverse of `packed` for 32-bit rows (m, channels)."""
    return np.frombuffer(payload, dtype="<i4").astype(np.int32).reshape(-1, channels)
