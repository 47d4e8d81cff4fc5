"""Who was told of an alarm, and what became of the message."""

from __future__ import annotations

import enum

import msgspec

from contract.events.event import Event
from contract.identity import digest_id


class Delivery(enum.StrEnum):
    """What became of a notification."""

    DELIVERED = "delivered"
    FAILED = "failed"
    SUPPRESSED = "suppressed"


class NotificationSentEvent(Event, frozen=True, kw_only=True, omit_defaults=True):
    """The receipt: who was told through which channel and why, or why not.

    `decision` is the named reason of the decision (`first`, `worse`, `cooldown`, …); `receipt` is the other side's own
    word, such as an SMTP server's 250 line; `suppressed` counts the repeats held back since the last one sent.
    """

    anomaly_id: str
    decision: str
    channel: str
    delivery: Delivery
    receipt: str
    sent_at_ms: int
    correlation_id: str
    recipients: list[str] = msgspec.field(default_factory=list)
    message_id: str | None = None
    suppressed: int = 0
    traced: bool = False

    @property
    def id(self) -> str:
        """One per anomaly, channel, decision and deciding reading."""
        return digest_id(self.anomaly_id, self.channel, self.decision, self.correlation_id)
