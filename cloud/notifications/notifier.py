"""Decides, sends through every channel with retries that end, and returns what became of it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

import msgspec
import stamina

from cloud.notifications.channel import Channel, Receipt
from cloud.notifications.decision import Decision, LastSent, Policy, decide
from cloud.notifications.notice import Locale, notice_for
from cloud.notifications.refusal import AnyNotice, RefusalNotice, decide_refusal, refusal_notice
from contract.errors import TransientError
from contract.events import AnomalyDetectedEvent, Delivery, ModelRefusedEvent, NotificationSentEvent

log = logging.getLogger("ronda.notifications")

# The channel of an event that no channel carried: held back, or nothing is configured.
NO_CHANNEL = "none"


class Retries(msgspec.Struct, frozen=True, kw_only=True):
    """How long one message is tried: `attempts` with exponential waits and jitter, at most `timeout_s` in all."""

    # Greylisting lets a mail pass after one to five minutes (RFC 6647, section 2.1), so the end lies behind that.
    attempts: int = 12
    timeout_s: float = 420.0
    wait_initial_s: float = 0.5
    wait_max_s: float = 60.0


class Notifier:
    """The port of the notification agent: an anomaly event in, receipts out."""

    def __init__(
        self,
        channels: Sequence[Channel],
        *,
        policy: Policy,
        base_url: str,
        locale: Locale,
        now_ms: Callable[[], int],
        retries: Retries | None = None,
    ) -> None:
        self._channels = channels
        self._policy = policy
        self._base_url = base_url
        self._locale = locale
        self._now_ms = now_ms
        self._retries = retries or Retries()

    def decide(self, event: AnomalyDetectedEvent, last: LastSent | None) -> Decision:
        """Is a person told of `event`? The pure rule with this site's policy and clock."""
        return decide(event, last, self._now_ms(), self._policy)

    async def notify(
        self, event: AnomalyDetectedEvent, decision: Decision, suppressed: int
    ) -> list[NotificationSentEvent]:
        """Do as decided. `suppressed` counts what was held back since the last message.

        Returns one event per channel, delivered or failed; a single one without a channel when held back. Failure is
        an answer here, never an exception: the other channels and the chain go on.
        """
        notice = notice_for(
            event,
            decision,
            policy=self._policy,
            suppressed=suppressed,
            base_url=self._base_url,
            locale=self._locale,
            at_ms=self._now_ms(),
        )
        return await self._tell(notice)

    def decide_refusal(self, last_told_ms: int | None) -> Decision:
        """Is a person told of a refused model? `last_told_ms`: when they last were, of this machine's."""
        return decide_refusal(last_told_ms, self._now_ms(), self._policy)

    async def notify_refusal(self, event: ModelRefusedEvent, decision: Decision) -> list[NotificationSentEvent]:
        """Do as decided, as `notify` does."""
        notice = refusal_notice(event, decision, base_url=self._base_url, locale=self._locale, at_ms=self._now_ms())
        return await self._tell(notice)

    async def _tell(self, notice: AnyNotice) -> list[NotificationSentEvent]:
        if not notice.decision.send:
            held_back = f"held back: {notice.decision.reason}"
            return [self._outcome(notice, NO_CHANNEL, Delivery.SUPPRESSED, held_back)]
        if not self._channels:
            return [
                self._outcome(notice, NO_CHANNEL, Delivery.FAILED, "no channel: set EMAIL_SMTP_HOST or WEBHOOK_URL")
            ]
        # All at once: a mail server that is away does not hold up the webhook.
        return list(await asyncio.gather(*(self._through(channel, notice) for channel in self._channels)))

    async def _through(self, channel: Channel, notice: AnyNotice) -> NotificationSentEvent:
        try:
            receipt = await _persist(channel, notice, self._retries)
        except Exception as error:  # whatever one channel stumbles over, the others and the next anomaly are told
            log.exception("notification.failed", extra=_fields(channel, notice))
            return self._outcome(notice, channel.name, Delivery.FAILED, str(error))
        log.info("notification.delivered", extra={**_fields(channel, notice), "receipt": receipt.text})
        return self._outcome(notice, channel.name, Delivery.DELIVERED, receipt.text, receipt.recipients)

    def _outcome(
        self, notice: AnyNotice, channel: str, delivery: Delivery, text: str, recipients: Sequence[str] = ()
    ) -> NotificationSentEvent:
        event = notice.event
        return NotificationSentEvent(
            site=event.site,
            device=event.device,
            # A refused model is no anomaly, and names itself.
            anomaly_id=event.id if isinstance(event, ModelRefusedEvent) else event.anomaly_id,
            decision=notice.decision.reason,
            channel=channel,
            delivery=delivery,
            receipt=text,
            sent_at_ms=self._now_ms(),
            correlation_id=notice.correlation_id,
            recipients=list(recipients),
            message_id=notice.message_id if delivery is not Delivery.SUPPRESSED else None,
            suppressed=0 if isinstance(notice, RefusalNotice) else notice.suppressed,
            traced=False if isinstance(event, ModelRefusedEvent) else event.traced,
        )


async def _persist(channel: Channel, notice: AnyNotice, retries: Retries) -> Receipt:
    async for attempt in stamina.retry_context(
        on=TransientError,
        attempts=retries.attempts,
        timeout=retries.timeout_s,
        wait_initial=retries.wait_initial_s,
        wait_max=retries.wait_max_s,
        wait_jitter=retries.wait_initial_s,
    ):
        with attempt:
            return await channel.send(notice)
    raise AssertionError("stamina raises the last error itself")


def _fields(channel: Channel, notice: AnyNotice) -> dict[str, str]:
    return {
        "channel": channel.name,
        "correlation_id": notice.correlation_id,
        "message_id": notice.message_id,
        "decision": notice.decision.reason,
    }
