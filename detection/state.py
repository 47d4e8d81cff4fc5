"""The detector's memory as bytes: kept with the position up to which it has judged, so that a crash skips nothing."""

from __future__ import annotations

from typing import Any

import msgspec
import numpy as np

from detection.episode import Episode
from detection.errors import DetectionError
from detection.explain import Explanation
from detection.model import Model
from detection.recovery import Excursion
from detection.regimes import UNSEEN, GateState
from detection.returning import ReturnState
from detection.rows import Ints, Rows
from detection.sealed import numbers, opened, sealed
from detection.second import Second
from detection.sensor_alarm import SensorAlarm
from detection.sensors import WatchState

FORMAT = 3


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
    second: Second
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
    """All that the next reading's judgement depends on. `model` is the checksum of the model that left it.

    `standing` names the channels that stand still or did lately, `health` (k) is what each sensor was at the last row;
    the times in `sensor_watch` are before the position; `holes` windows in a row were emptied before a row was judged.
    """

    format: int = FORMAT
    model: str
    standing: dict[int, str]
    position_ms: int | None
    skipped: int
    holes: int
    place: int | None
    gate: GateState
    returning: ReturnState
    sensor_watch: WatchState
    sensor_alarm: SensorAlarm
    health: list[int]
    judge: JudgeState

    def check_sensors(self) -> None:
        """Raises: DetectionError when what is known of the sensors does not fit together."""
        k, alarm = len(self.health), self.sensor_alarm
        named = {*self.standing} == {*alarm.stuck, *alarm.machines, *alarm.lately}
        if not (named and self.sensor_watch.fits(k) and all(0 <= at < k for at in self.standing)):
            raise DetectionError("the state does not fit its own channels; start afresh")

    def check(self, model: Model) -> None:
        """Raises: DetectionError when this cannot be what a detector with this model left."""
        k, points, judge = len(model.metrics), len(model.regimes.points), self.judge
        places = [self.place, self.gate.at, self.gate.near, self.returning.place]
        jumped = [] if judge.jumped is None else [judge.jumped.channel]
        sizes = {len(each) for each in (self.returning.side, self.returning.mark, self.returning.waited)}
        fits = (
            len(self.health) == k
            and sizes == {len(model.slow.channels)}
            and all(place is None or UNSEEN <= place < points for place in places)
            and all(0 <= at < k for at in [*jumped, *judge.second.told])
            and len(judge.baselines) == len(model.normals)
            and min(judge.fresh, judge.calm, judge.quiet, self.holes) >= 0
        )
        if not fits:
            raise DetectionError("the state does not fit its model; start afresh")


def to_bytes(state: State) -> bytes:
    """MessagePack: about 8 kB for eight channels, 15 kB while an anomaly is open."""
    return sealed(state)


def from_bytes(payload: bytes) -> State:
    """The reverse. Raises: DetectionError for bytes that are no state of this format."""
    state = opened(payload, State, "a detector's state")
    if state.format != FORMAT:
        raise DetectionError(f"the state has format {state.format}, this program reads {FORMAT}; start afresh")
    return state


def packed(numbers: np.ndarray[Any, Any]) -> bytes:
    """Whole numbers (32 or 64 bits) as little-endian bytes."""
    return numbers.astype(numbers.dtype.newbyteorder("<"), copy=False).tobytes()


def wide(payload: bytes, count: int) -> Ints:
    """The reverse of `packed` for so many 64-bit numbers. Raises: DetectionError when there are not so many."""
    return numbers(payload, "<i8", count).astype(np.int64)


def table(payload: bytes, rows: int, channels: int) -> Rows:
    """The reverse of `packed` for 32-bit rows (rows, channels). Raises: DetectionError when it has another shape."""
    return numbers(payload, "<i4", rows, channels).astype(np.int32)
