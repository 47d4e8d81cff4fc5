"""What has become of a reading on its way to a person? Pure: a trace and the time in, a named outcome out."""

from __future__ import annotations

import enum
from collections.abc import Iterator
from typing import NamedTuple

from dashboard.facts import Notification, Step, Trace

# The way of an alert, in order. The Historian stores beside it and stands in the narration alone.
DEVICE, BROKER = "device", "broker"
ACQUISITION, VALIDATION, DETECTION = "acquisition", "validation", "anomaly-detection"
NOTIFICATION, MAIL, WEBHOOK, HISTORIAN = "notification", "mail", "webhook", "historian"
WAY = (DEVICE, BROKER, ACQUISITION, VALIDATION, DETECTION, NOTIFICATION, MAIL)

# The promise is a mail in under five seconds; three times that is not slow but stopped.
STOPPED_AFTER_MS = 15_000
# Detection says what it found in the same breath as that it judged; its word is stored within a second.
QUIET_AFTER_MS = 2_000
# Two channels are told beside each other and kept together; after this long without a mail there is none to wait for.
OTHER_CHANNEL_MS = 2_000
# A receipt overtakes the hops before it, which are stored in batches of a second; after this long none is on its way.
LOOK_ON_MS = 4_000
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


def outcome(trace: Trace, *, began_ms: float, now_ms: float) -> Outcome:
    """How the round stands now; `began_ms` is the click. A delivery counts only by its receipt, and one refusal
    takes it back: told by one channel of two is not told.
    """
    if receipt(trace, "failed"):
        return Outcome.FAILED
    if _is_delivered(trace, now_ms):
        return Outcome.DELIVERED
    if receipt(trace, "suppressed") and not receipt(trace, "delivered"):
        return Outcome.SUPPRESSED
    if trace.rejected:
        return Outcome.REJECTED
    if is_judged_healthy(trace) and now_ms - _judged_ms(trace) > QUIET_AFTER_MS:
        return Outcome.QUIET
    return Outcome.STOPPED if now_ms - began_ms > STOPPED_AFTER_MS else Outcome.RUNNING


def is_over(trace: Trace, state: Outcome, now_ms: float) -> bool:
    """Will looking again show nothing new? A receipt may come before the hops that led to it, and before the store."""
    if not state.settled:
        return False
    if state is Outcome.DELIVERED and is_whole(trace):
        return True
    return now_ms - _last_ms(trace) > LOOK_ON_MS


def is_whole(trace: Trace) -> bool:
    """Has every station up to the channel been heard of, and every reading been stored?"""
    passed = [_arrived(trace, name) is not None for name in _stops(trace)]
    return all(passed) and stored(trace) >= sent(trace)


def sent(trace: Trace) -> int:
    """Readings that the device published."""
    return max((step.readings for step in trace.steps if step.station == DEVICE), default=trace.readings)


def stored(trace: Trace) -> int:
    """Readings that the Historian keeps, by its hop or by what it answers when asked."""
    return max([trace.readings, *(step.readings for step in trace.steps if step.did == "stored")])


def receipt(trace: Trace, delivery: str) -> Notification | None:
    """The notification with this delivery, a mail's first; a delivered one must carry the other side's own word."""
    found = [each for each in trace.notifications if each.delivery == delivery]
    told = (each for each in found if delivery != "delivered" or each.receipt)
    return min(told, key=lambda each: each.channel != MAIL, default=None)


def way(trace: Trace, state: Outcome) -> list[Station]:
    """The stations in order, each as far as it is known; the last is the channel that was used."""
    stops = _stops(trace)
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


def delivered_after_ms(trace: Trace) -> float | None:
    """From the device's first hop to the receipt; None while either is not known."""
    begun = [step.at_ms for step in trace.steps if step.station == DEVICE]
    told = [step.at_ms for step in trace.steps if step.did == "delivered"]
    return max(told) - min(begun) if begun and told else None


def is_judged_healthy(trace: Trace) -> bool:
    """Did detection judge every reading that was sent, and find nothing to raise?"""
    judged = sum(step.readings for step in _judgements(trace) if step.did == "scored")
    found = trace.anomalies or any(step.did != "scored" for step in _judgements(trace))
    return not found and judged > 0 and judged >= sent(trace)


def _is_delivered(trace: Trace, now_ms: float) -> bool:
    """The promise is a mail; another channel alone counts once no mail is to be expected."""
    found = receipt(trace, "delivered")
    if found is None:
        return False
    return found.channel == MAIL or now_ms - found.sent_at_ms > OTHER_CHANNEL_MS


def _stops(trace: Trace) -> tuple[str, ...]:
    """The way with the channel that was used at its end: the one that failed, else the mail."""
    failed = receipt(trace, "failed")
    last = failed.channel if failed else WEBHOOK if _arrived(trace, WEBHOOK) and not _arrived(trace, MAIL) else MAIL
    return (*WAY[:-1], last) if last in (MAIL, WEBHOOK) else WAY


def _judgements(trace: Trace) -> Iterator[Step]:
    return (step for step in trace.steps if step.station == DETECTION)


def _judged_ms(trace: Trace) -> float:
    return max((step.at_ms for step in _judgements(trace)), default=0.0)


def _last_ms(trace: Trace) -> float:
    """When the last thing happened that is known of."""
    times = [step.at_ms for step in trace.steps] + [each.sent_at_ms for each in trace.notifications]
    return max(times, default=0.0)


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
