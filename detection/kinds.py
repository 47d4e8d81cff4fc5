"""What an alarm can be about: the three questions to the machine as a whole, and what is watched sensor by sensor."""

from __future__ import annotations

import enum


class Kind(enum.StrEnum):
    """Which question was answered with yes.

    level, jump, roughness: the detector's, see `detection.questions`; limit: a fixed limit was crossed; stuck: a sensor
    repeats one value; trend: an indicator drifts towards its limit.
    """

    LEVEL = "level"
    JUMP = "jump"
    ROUGHNESS = "roughness"
    LIMIT = "limit"
    STUCK = "stuck"
    TREND = "trend"


class Alarm(enum.StrEnum):
    """Whom an alarm concerns: the machine as learned, a limit set by people, a sensor, or a trend."""

    ANOMALY = "anomaly"
    LIMIT = "limit"
    SENSOR = "sensor"
    TREND = "trend"
