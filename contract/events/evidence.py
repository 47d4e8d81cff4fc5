"""Why Ronda thinks that something is wrong: what was seen, what was expected, and what it looks like."""

from __future__ import annotations

import msgspec


class SensorEvidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One sensor's part: its share of the anomaly (0 to 1) and what was seen against what was expected, in `unit`.

    `ratio`: how many times its usual going back and forth it shows, where that was the question.
    """

    name: str
    unit: str
    share: float
    seen: float
    expected: float
    expected_low: float
    expected_high: float
    ratio: float | None = None


class Window(msgspec.Struct, frozen=True, kw_only=True):
    """The readings around the anomaly: n times and, per sensor shown, n values (None where a sensor was silent)."""

    measured_at_ms: list[int]
    series: dict[str, list[float | None]]


class Cause(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What it looks like: a help beside the evidence, never in its place.

    `fault` is a code, one of `candidates` or the family that they belong to; `by` says who thinks so: `rule` or
    `classifier`. `sentence` by language, en and pt; `source` is what the rule cites, or the classifier's name with its
    version.
    """

    fault: str
    by: str
    candidates: list[str]
    sentence: dict[str, str]
    source: str = ""


class Evidence(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Why Ronda thinks so, frozen when raised. `sensors` by share, largest first; `sentence` by language, en and pt.

    `question` is what was answered with yes: level, jump, roughness, limit, stuck or trend.
    """

    sensors: list[SensorEvidence]
    sentence: dict[str, str]
    window: Window
    question: str = "level"
    cause: Cause | None = None
