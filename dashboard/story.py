"""What has become of a reading on its way to a person? Pure: a trace and the time in, a named outcome out."""

from __future__ import annotations

import enum
from typing import NamedTuple

from dashboard.facts import Notification, Step, Trace

# The way of an alert, in order. The Historian stores beside it and stands in the narration alone.
DEVICE, BROKER = "device", "broker"
ACQUISITION, VALIDATION, DETECTION = "acquisition", "validation", "anomaly-detection"
NOTIFICATION, MAIL, WEBHOOK, HISTORIAN = "notification", "mail", "webhook", "historian"
WAY = (DEVICE, BROKER, ACQUISITION, VALIDATION, DETECTION, NOTIFICATION, MAIL)

# The promise is a mail in under five seconds; three times that is not slow but stopped.
STOPPED_AFTER_MS = 15_000
# A healthy minute causes no further hop after scoring; this long after it nothing is still on its way.
QUIET_AFTER_MS = 3_000
# Words of the agents for "I could not do my part".
_FAILED = frozenset({"failed", "rejected", "refused"})


class Outcome(enum.StrEnum):
    """How the round stands; only DELIVERED may be shown in green."""

    RUNNING = "running"
    DELIVERED = "delivered"
    FAILED = "failed"
    SUPPRESSED = "suppressed"
    REJECTED = "rejected"
    QUIET = "quiet"
    STOPPED = "stopped"

    @property
    def settled(self) -> bool:
        """Will nothing more happen?"""
        return self is not Outcome.RUNNING


class Station(NamedTuple):
    """One stop on the way: waiting, running, done or failed; `hop_ms` since the stop before, None if it never came."""

    name: str
    state: str
    hop_ms: float | None
    step: Step | None


def outcome(trace: Trace, *, fault: str, elapsed_ms: float) -> Outcome:
    """How the round stands `elapsed_ms` after the click. A delivery counts only by its receipt."""
    if receipt(trace, "delivered"):
        return Outcome.DELIVERED
    if receipt(trace, "failed"):
        return Outcome.FAILED
    if receipt(trace, "suppressed"):
        return Outcome.SUPPRESSED
    if trace.rejected:
        return Outcome.REJECTED
    if fault == "none" and _judged_healthy(trace) and _elapsed_since(trace, DETECTION, elapsed_ms) > QUIET_AFTER_MS:
        return Outcome.QUIET
    return Outcome.STOPPED if elapsed_ms > STOPPED_AFTER_MS else Outcome.RUNNING


def receipt(trace: Trace, delivery: str) -> Notification | None:
    """The first notification with this delivery; a delivered one must carry the other side's own word."""
    found = (each for each in trace.notifications if each.delivery == delivery)
    return next((each for each in found if delivery != "delivered" or each.receipt), None)


def way(trace: Trace, state: Outcome) -> list[Station]:
    """The stations in order, each as far as it is known; the last is the channel that was used."""
    stops = WAY if not _arrived(trace, WEBHOOK) or _arrived(trace, MAIL) else (*WAY[:-1], WEBHOOK)
    steps = [_arrived(trace, name) for name in stops]
    reached = max((index for index, step in enumerate(steps) if step), default=-1)
    stations: list[Station] = []
    before: float | None = None
    for index, (name, step) in enumerate(zip(stops, steps, strict=True)):
        hop = max(0.0, step.at_ms - (before if before is not None else step.at_ms)) if step else None
        stations.append(Station(name, _station_state(step, index, reached, state), hop, step))
        before = max(step.at_ms, before or 0.0) if step else before
    return stations


def stopped_at(stations: list[Station]) -> tuple[str | None, str | None]:
    """(the last station that was passed, the one that never came)."""
    passed = [station.name for station in stations if station.state == "done"]
    missing = [station.name for station in stations if station.state != "done"]
    return (passed[-1] if passed else None, missing[0] if missing else None)


def total_ms(trace: Trace) -> float:
    """From the first hop to the last, as measured."""
    times = [step.at_ms for step in trace.steps]
    return max(times) - min(times) if times else 0.0


def _arrived(trace: Trace, name: str) -> Step | None:
    """A station's telling step: its failure if there is one, else its last on the way of the alert."""
    steps = [step for step in trace.steps if step.station == name]
    failed = [step for step in steps if step.did in _FAILED]
    return (failed or steps)[-1] if steps else None


def _station_state(step: Step | None, index: int, reached: int, state: Outcome) -> str:
    if step:
        return "failed" if step.did in _FAILED else "done"
    if index < reached:
        return "done"
    if index > reached + 1 or state in (Outcome.QUIET, Outcome.SUPPRESSED):
        return "waiting"
    return "running" if state is Outcome.RUNNING else "failed"


def _judged_healthy(trace: Trace) -> bool:
    return not trace.anomalies and _arrived(trace, DETECTION) is not None


def _elapsed_since(trace: Trace, station: str, elapsed_ms: float) -> float:
    step = _arrived(trace, station)
    if step is None or not trace.steps:
        return 0.0
    return elapsed_ms - (step.at_ms - min(each.at_ms for each in trace.steps))
