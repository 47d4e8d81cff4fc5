"""From an anomaly event to the receipts: one answer per channel, and no channel's trouble is another's."""

from __future__ import annotations

import asyncio

import pytest

from cloud.notifications.channel import Channel, DeliveryError, Receipt
from cloud.notifications.decision import Decision, Policy, Why
from cloud.notifications.notice import Locale
from cloud.notifications.notifier import Notifier, Retries
from cloud.notifications.refusal import AnyNotice
from contract.errors import TransientError
from contract.events import AnomalyDetectedEvent, Delivery
from tests.support.anomalies import RAISED_AT_MS, anomaly

SEND = Decision(send=True, reason=Why.FIRST)
QUICK = Retries(attempts=3, timeout_s=5, wait_initial_s=0.001, wait_max_s=0.002)


class Remembering:
    """A channel that fails as often as it is told, and remembers what it was given."""

    def __init__(self, name: str, *troubles: Exception) -> None:
        self.name = name
        self._troubles = list(troubles)
        self.notices: list[AnyNotice] = []

    async def send(self, notice: AnyNotice) -> Receipt:
        self.notices.append(notice)
        if self._troubles:
            raise self._troubles.pop(0)
        return Receipt("250 OK", [f"somebody@{self.name}"])


def notifier(*channels: Channel, now_ms: int = RAISED_AT_MS + 500) -> Notifier:
    return Notifier(
        channels,
        policy=Policy(),
        base_url="http://127.0.0.1:8000",
        locale=Locale(),
        now_ms=lambda: now_ms,
        retries=QUICK,
    )


async def test_each_channel_gives_its_receipt() -> None:
    events = await notifier(Remembering("mail"), Remembering("webhook")).notify(anomaly(traced=True), SEND, 2)
    assert [(one.channel, one.delivery, one.receipt) for one in events] == [
        ("mail", Delivery.DELIVERED, "250 OK"),
        ("webhook", Delivery.DELIVERED, "250 OK"),
    ]
    first = events[0]
    assert (first.decision, first.suppressed, first.recipients) == ("first", 2, ["somebody@mail"])
    assert (first.site, first.device, first.anomaly_id) == ("plant-1", "pump-07", anomaly().anomaly_id)
    assert first.correlation_id == anomaly().correlation_id
    assert first.sent_at_ms == RAISED_AT_MS + 500
    assert first.traced
    assert first.message_id is not None


async def test_a_passing_trouble_is_tried_again_with_the_same_message() -> None:
    mail = Remembering("mail", TransientError("451"), TransientError("451"))
    (event,) = await notifier(mail).notify(anomaly(), SEND, 0)
    assert event.delivery is Delivery.DELIVERED
    assert len({one.message_id for one in mail.notices}) == 1
    assert len(mail.notices) == 3


async def test_trying_again_has_an_end() -> None:
    mail = Remembering("mail", *[TransientError("mail server is not there")] * 9)
    (event,) = await notifier(mail).notify(anomaly(), SEND, 0)
    assert (event.delivery, event.receipt) == (Delivery.FAILED, "mail server is not there")
    assert len(mail.notices) == QUICK.attempts


@pytest.mark.parametrize("trouble", [DeliveryError("550 no"), RuntimeError("550 no")])
async def test_what_will_never_work_is_not_tried_again_and_leaves_the_others_alone(trouble: Exception) -> None:
    mail, webhook = Remembering("mail", trouble), Remembering("webhook")
    events = await notifier(mail, webhook).notify(anomaly(), SEND, 0)
    assert [(one.channel, one.delivery) for one in events] == [
        ("mail", Delivery.FAILED),
        ("webhook", Delivery.DELIVERED),
    ]
    assert events[0].receipt == "550 no"
    assert len(mail.notices) == 1


async def test_what_is_held_back_is_an_event_too_and_reaches_nobody() -> None:
    mail = Remembering("mail")
    (event,) = await notifier(mail).notify(anomaly(), Decision(send=False, reason=Why.COOLDOWN), 3)
    assert (event.delivery, event.decision, event.channel) == (Delivery.SUPPRESSED, "cooldown", "none")
    assert (event.message_id, event.recipients) == (None, [])
    assert mail.notices == []


async def test_without_a_channel_the_failure_says_what_to_set() -> None:
    (event,) = await notifier().notify(anomaly(), SEND, 0)
    assert event.delivery is Delivery.FAILED
    assert "EMAIL_SMTP_HOST" in event.receipt


async def test_a_slow_channel_does_not_hold_up_another() -> None:
    released = asyncio.Event()

    class Slow(Remembering):
        async def send(self, notice: AnyNotice) -> Receipt:
            await asyncio.wait_for(released.wait(), 5)
            return await super().send(notice)

    class Releasing(Remembering):
        async def send(self, notice: AnyNotice) -> Receipt:
            released.set()
            return await super().send(notice)

    events = await notifier(Slow("mail"), Releasing("webhook")).notify(anomaly(), SEND, 0)
    assert [one.delivery for one in events] == [Delivery.DELIVERED] * 2


def test_the_decision_goes_by_the_sites_policy_and_clock() -> None:
    assert notifier().decide(anomaly(), None) == SEND
    assert notifier().decide(anomaly(replayed=True), None).reason is Why.REPLAYED


async def test_doing_the_same_work_twice_gives_the_same_event_id() -> None:
    def ids(event: AnomalyDetectedEvent) -> list[str]:
        return [one.id for one in asyncio.run(notifier(Remembering("mail")).notify(event, SEND, 0))]

    first = await asyncio.to_thread(ids, anomaly())
    assert await asyncio.to_thread(ids, anomaly()) == first
