"""Does a person hear of this now? One pure function with a named reason, as Alertmanager's dedup stage has it."""

from __future__ import annotations

import enum

import msgspec

from contract.events import AnomalyDetectedEvent, Phase, Severity

_RANK = {Severity.WARNING: 1, Severity.CRITICAL: 2}


class Why(enum.StrEnum):
    """The named reason of a decision; it stands in the mail, in the receipt and in the database."""

    FIRST = "first"
    WORSE = "worse"
    REPEAT_INTERVAL_ELAPSED = "repeat_interval_elapsed"
    COOLDOWN = "cooldown"
    UPDATED = "updated"
    CLEARED = "cleared"
    REPLAYED = "replayed"
    MODEL_REFUSED = "model_refused"
    MODEL_REFUSED_COOLDOWN = "model_refused_cooldown"


class Policy(msgspec.Struct, frozen=True, kw_only=True):
    """How often one device may speak up, in the data's own time.

    `cooldown_ms`: after a message the device is quiet for this long, unless it gets worse.
    `repeat_interval_ms`: an anomaly that lasts is brought to mind again after this long.
    """

    # A flapping machine then makes at most six mails an hour; a person who was told is on the way.
    cooldown_ms: int = 10 * 60_000
    # One reminder an hour while nobody has stopped the cause: the rhythm of the mail's own design.
    repeat_interval_ms: int = 60 * 60_000


class LastSent(msgspec.Struct, frozen=True, kw_only=True):
    """The last message about this device that really went out, and what it was about.

    `measured_at_ms` is the device's time of that event, `sent_at_ms` our time of sending.
    """

    anomaly_id: str
    severity: Severity
    measured_at_ms: int
    sent_at_ms: int


class Decision(msgspec.Struct, frozen=True):
    """Send or hold back, and why."""

    send: bool
    reason: Why


def decide(event: AnomalyDetectedEvent, last: LastSent | None, now_ms: int, policy: Policy) -> Decision:
    """Is a person told of `event`, given the last message about its device?"""
    if event.replayed:
        return Decision(send=False, reason=Why.REPLAYED)
    if event.phase is Phase.CLEARED:
        return Decision(send=False, reason=Why.CLEARED)
    if last is None:
        return Decision(send=True, reason=Why.FIRST)
    return _after(last, event, _elapsed_ms(event, last, now_ms), policy)


def _after(last: LastSent, event: AnomalyDetectedEvent, elapsed_ms: int, policy: Policy) -> Decision:
    same = event.anomaly_id == last.anomaly_id
    if not same and elapsed_ms >= policy.cooldown_ms:
        return Decision(send=True, reason=Why.FIRST)
    if _RANK[event.severity] > _RANK[last.severity]:
        return Decision(send=True, reason=Why.WORSE)
    if elapsed_ms < policy.cooldown_ms:
        return Decision(send=False, reason=Why.COOLDOWN)
    if elapsed_ms >= policy.repeat_interval_ms:
        return Decision(send=True, reason=Why.REPEAT_INTERVAL_ELAPSED)
    return Decision(send=False, reason=Why.UPDATED)


def _elapsed_ms(event: AnomalyDetectedEvent, last: LastSent, now_ms: int) -> int:
    """Time since the last message, by the device's clock; by ours when the device's was set back meanwhile.

    Otherwise a device whose clock was an hour ahead for one message would be mute for an hour.
    """
    by_device = event.measured_at_ms - last.measured_at_ms
    return by_device if by_device >= 0 else now_ms - last.sent_at_ms
