"""Which fault is it? Compares what an alarm looks like with the signatures of known faults, or says that it is unknown.

A signature is a direction: which sensors carry the alarm, up or down. It has no unit and no size, so that a fault looks
the same small and grown, and on another machine whose channels have the same names. Of the methods that fit so little
data (a plant has seen each of its faults a few times) the nearest signature is the one that a person can check by eye:
"flow down, current down, pressure a little up: that is how a blocked valve looks". Cost: about 25 µs an alarm.
"""

from __future__ import annotations

import enum
import math
from collections.abc import Sequence

import msgspec
import numpy as np

from detection.errors import ModelError
from detection.explain import Findings, Sensor
from detection.kinds import Kind
from detection.model import MAX_BYTES, MAX_CHANNELS
from detection.rows import Floats

FORMAT = 1
UNKNOWN = "unknown"
# Three questions to each of 64 faults: more is a catalogue, not what a plant has seen.
_MAX_SIGNATURES = 192


class Reason(enum.StrEnum):
    """Why a fault was named, or why not."""

    LIKE = "like"
    BETWEEN = "between"
    UNLIKE = "unlike"


class Naming(msgspec.Struct, frozen=True, kw_only=True):
    """The fault's name, `unknown` unless the reason is `like`.

    `candidates`: what it can be, the most likely first: one fault if the reason is `like`, two or more that cannot be
    told apart if it is `between`, none if it is `unlike` all. `likeness`: by fault, the largest first, how much the
    alarm looks like it: 1 the same direction, 0 nothing in common, -1 the opposite.
    """

    fault: str
    reason: Reason
    candidates: list[str]
    likeness: dict[str, float]


class Signature(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one fault looks when the detector's question `kind` finds it: a unit vector over the channels (k).

    `least_likeness` (0 to 1): what looks less like it is something else. `least_lead` (0 to 2): it is named when it is
    that much more likely than the next. `sources`: how many machines or recordings it was learned from.
    """

    fault: str
    kind: Kind
    direction: list[float]
    least_likeness: float
    least_lead: float
    sources: int


_Look = tuple[float, Signature]
"""How much an alarm looks like one signature, and which."""


class Classifier(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The known faults of machines with these `channels` (k names); data as JSON, never code."""

    format: int = FORMAT
    channels: list[str]
    signatures: list[Signature]

    def name(self, found: Findings) -> Naming:
        """The fault that the findings of an alarm look like."""
        at = direction(found.kind, found.sensors, self.channels)
        likely = [(float(at @ np.asarray(known.direction)), known) for known in self.signatures]
        ranked = sorted((look for look in likely if look[1].kind is found.kind), key=lambda look: -look[0])
        reason = _reason(ranked)
        return Naming(
            fault=ranked[0][1].fault if reason is Reason.LIKE else UNKNOWN,
            reason=reason,
            candidates=_candidates(ranked, reason),
            likeness={known.fault: round(like, 3) for like, known in ranked},
        )

    def to_bytes(self) -> bytes:
        """The classifier as JSON: what is logged, hashed and loaded."""
        return msgspec.json.encode(self)

    @classmethod
    def from_bytes(cls, payload: bytes) -> Classifier:
        """The reverse of `to_bytes`. Raises: ModelError saying what is wrong with the bytes."""
        if len(payload) > MAX_BYTES:
            raise ModelError(f"a classifier has at most {MAX_BYTES} bytes, this one {len(payload)}")
        try:
            classifier = msgspec.json.decode(payload, type=cls)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise ModelError(f"not a classifier: {error}") from error
        classifier.check()
        return classifier

    def check(self) -> None:
        """Raises: ModelError when it could not name anything, or would name nonsense."""
        if self.format != FORMAT:
            raise ModelError(f"the classifier has format {self.format}, this program reads {FORMAT}; train again")
        k = len(self.channels)
        if not 1 <= k <= MAX_CHANNELS or len(set(self.channels)) != k:
            raise ModelError(f"a classifier has 1 to {MAX_CHANNELS} channels with different names, this one {k}")
        if not 1 <= len(self.signatures) <= _MAX_SIGNATURES:
            raise ModelError(f"a classifier has 1 to {_MAX_SIGNATURES} signatures, this one {len(self.signatures)}")
        if len({(signature.fault, signature.kind) for signature in self.signatures}) != len(self.signatures):
            raise ModelError("a fault has one signature per kind of alarm")
        for signature in self.signatures:
            _check_signature(signature, k)


def direction(kind: Kind, sensors: Sequence[Sensor], channels: Sequence[str]) -> Floats:
    """Where an alarm points: a unit vector over `channels` (k), 0 for one that has no part; all 0 if none has.

    A sensor's share of the alarm is the square of its length (shares sum up to 1). Its sign is up or down, and it
    counts in full once it is outside its own healthy range: a share that a sensor has by correlation alone has no
    direction. Roughness has no up and down.
    """
    out = np.zeros(len(channels))
    place = {name: column for column, name in enumerate(channels)}
    for sensor in sensors:
        if sensor.name in place:
            sign = 1.0 if kind is Kind.ROUGHNESS else min(max(_deviation(sensor), -1.0), 1.0)
            out[place[sensor.name]] = sign * math.sqrt(max(sensor.share, 0.0))
    length = float(np.linalg.norm(out))
    return out / length if length > 0 else out


def _candidates(ranked: Sequence[_Look], reason: Reason) -> list[str]:
    if reason is not Reason.BETWEEN:
        return [known.fault for _, known in ranked[:1] if reason is Reason.LIKE]
    also = [known.fault for like, known in ranked[2:] if like >= known.least_likeness]
    return [known.fault for _, known in ranked[:2]] + also


def _reason(ranked: Sequence[_Look]) -> Reason:
    """Is the most likely of these (likeness, falling, and signature) likely enough, and clearly so?"""
    if not ranked or ranked[0][0] < ranked[0][1].least_likeness:
        return Reason.UNLIKE
    return Reason.LIKE if lead([like for like, _ in ranked]) >= ranked[0][1].least_lead else Reason.BETWEEN


def lead(likeness: Sequence[float]) -> float:
    """How far the first of falling likenesses is above the next; being the opposite of the next one adds nothing."""
    return likeness[0] - max(likeness[1] if len(likeness) > 1 else 0.0, 0.0)


def _deviation(sensor: Sensor) -> float:
    """Seen against expected, in half-widths of the sensor's healthy range."""
    half = (sensor.expected_high - sensor.expected_low) / 2
    away = sensor.seen - sensor.expected
    return away / half if half > 0 else math.copysign(1.0, away) * (away != 0)


def _check_signature(signature: Signature, k: int) -> None:
    length = math.hypot(*signature.direction)
    if len(signature.direction) != k or not math.isclose(length, 1.0, abs_tol=1e-6):
        raise ModelError(f"the signature of {signature.fault!r} must be a unit vector over {k} channels")
    if signature.fault in {"", UNKNOWN} or signature.sources < 1:
        raise ModelError(f"a fault needs a name and sources; {signature.fault!r} of {signature.sources} has not both")
    if not (0 <= signature.least_likeness <= 1 and 0 <= signature.least_lead <= 2):
        raise ModelError(f"the limits of {signature.fault!r} must be 0 to 1 for likeness and 0 to 2 for the lead")
