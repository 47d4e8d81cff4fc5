"""The notification agent: nobody is told twice, nobody is forgotten, whatever fails in between."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
import pytest

from cloud.agents.notification import LOOK_TICKS, NotificationAgent, Told
from cloud.notifications.decision import Decision, LastSent, Why
from contract.errors import TransientError
from contract.events import (
    AnomalyDetectedEvent,
    Delivery,
    Event,
    HopEvent,
    ModelRef,
    ModelRefusedEvent,
    NotificationSentEvent,
)
from tests.support.anomalies import anomaly


class Mails:
    """Sends every notice, and remembers whom it told."""

    def __init__(self) -> None:
        self.told: list[str] = []
        self.send = True

    def decide(self, event: AnomalyDetectedEvent, last: LastSent | None) -> Decision:
        return Decision(send=self.send, reason=Why.FIRST if self.send else Why.COOLDOWN)

    async def notify(
        self, event: AnomalyDetectedEvent, decision: Decision, suppressed: int
    ) -> Sequence[NotificationSentEvent]:
        self.told.append(event.device)
        return [
            NotificationSentEvent(
                site=event.site,
                device=event.device,
                anomaly_id=event.anomaly_id,
                decision=decision.reason,
                channel="mail",
                delivery=Delivery.DELIVERED if decision.send else Delivery.SUPPRESSED,
                receipt="250 kept",
                sent_at_ms=1,
                correlation_id=event.correlation_id,
                traced=event.traced,
            )
        ]

    def decide_refusal(self, last_told_ms: int | None) -> Decision:
        return Decision(send=last_told_ms is None, reason=Why.MODEL_REFUSED)

    async def notify_refusal(self, event: ModelRefusedEvent, decision: Decision) -> Sequence[NotificationSentEvent]:
        self.told.append(f"{event.device} {decision.send}")
        return [
            NotificationSentEvent(
                site=event.site,
                device=event.device,
                anomaly_id=event.id,
                decision=decision.reason,
                channel="mail",
                delivery=Delivery.DELIVERED,
                receipt="250 kept",
                sent_at_ms=1,
                correlation_id=event.id,
            )
        ]


class Kept:
    """Remembers decisions; away for the devices named in `away`, once each."""

    def __init__(self) -> None:
        self.receipts: dict[str, Sequence[NotificationSentEvent]] = {}
        self.refusals: dict[str, int] = {}
        self.away: set[str] = set()
        self.unwritable: set[str] = set()
        self.waiting: list[NotificationSentEvent] = []
        self.lost: list[AnomalyDetectedEvent | ModelRefusedEvent] = []

    async def untold(self) -> Sequence[AnomalyDetectedEvent | ModelRefusedEvent]:
        return [event for event in self.lost if event.id not in self.receipts]

    async def refusal_told_ms(self, site: str, device: str) -> int | None:
        return self.refusals.get(device)

    async def record_refusal(self, refusal: ModelRefusedEvent, receipts: Sequence[NotificationSentEvent]) -> None:
        self.receipts[refusal.id] = receipts
        self.refusals[refusal.device] = 1

    async def is_decided(self, event: AnomalyDetectedEvent | ModelRefusedEvent) -> bool:
        if event.device in self.away:
            self.away.remove(event.device)
            raise TransientError("the database is away")
        return event.id in self.receipts

    async def last_sent(self, site: str, device: str) -> LastSent | None:
        return None

    async def held_back(self, site: str, device: str) -> int:
        return 0

    async def record(self, event: AnomalyDetectedEvent, receipts: Sequence[NotificationSentEvent]) -> None:
        if event.device in self.unwritable:
            self.unwritable.remove(event.device)
            raise TransientError("the database went away after the mail")
        self.receipts[event.id] = receipts

    async def unpublished(self) -> Sequence[NotificationSentEvent]:
        return list(self.waiting)

    async def published(self, receipts: Sequence[NotificationSentEvent]) -> None:
        self.waiting = [receipt for receipt in self.waiting if receipt not in receipts]


class SecondRefused(Kept):
    """Writes the first receipt of an event and goes away before the second, once."""

    def __init__(self) -> None:
        super().__init__()
        self.channels: list[str] = []

    async def record(self, event: AnomalyDetectedEvent, receipts: Sequence[NotificationSentEvent]) -> None:
        self.receipts[event.id] = receipts
        if not self.channels:
            self.channels = [receipts[0].channel]
            raise TransientError("the database went away between two receipts")
        self.channels = [receipt.channel for receipt in receipts]


class MailAndWebhook(Mails):
    """Through two channels."""

    async def notify(
        self, event: AnomalyDetectedEvent, decision: Decision, suppressed: int
    ) -> Sequence[NotificationSentEvent]:
        (mail,) = await super().notify(event, decision, suppressed)
        return [mail, msgspec.structs.replace(mail, channel="webhook")]


def about(device: str, **changes: object) -> AnomalyDetectedEvent:
    return anomaly(device=device, anomaly_id=f"{device:0>32}", **changes)


def receipts(events: Sequence[Event]) -> list[str]:
    return [event.device for event in events if isinstance(event, NotificationSentEvent)]


@pytest.fixture
def mails() -> Mails:
    return Mails()


@pytest.fixture
def kept() -> Kept:
    return Kept()


@pytest.fixture
def agent(mails: Mails, kept: Kept) -> NotificationAgent:
    return NotificationAgent(mails, kept, lambda: 5.0)


async def test_an_anomaly_is_told_and_its_receipt_published(agent: NotificationAgent, mails: Mails) -> None:
    assert receipts(await agent.handle([about("a")])) == ["a"]
    assert mails.told == ["a"]


async def test_an_event_that_comes_again_is_not_told_again(agent: NotificationAgent, mails: Mails) -> None:
    await agent.handle([about("a")])
    assert await agent.handle([about("a")]) == []
    assert mails.told == ["a"]


async def test_an_event_that_was_held_back_is_not_told_when_it_comes_again_later(
    agent: NotificationAgent, mails: Mails
) -> None:
    mails.send = False
    await agent.handle([about("a")])
    mails.send = True
    assert await agent.handle([about("a")]) == []
    assert mails.told == ["a"]


async def test_one_devices_failure_has_no_other_told_twice_and_nobody_forgotten(
    agent: NotificationAgent, mails: Mails, kept: Kept
) -> None:
    batch, kept.away = [about("a"), about("b"), about("c")], {"a"}
    with pytest.raises(TransientError):
        await agent.handle(batch)
    published = receipts(await agent.handle(batch))
    assert sorted(mails.told) == ["a", "b", "c"]
    assert sorted(published) == ["a", "b", "c"]


async def test_receipts_left_by_a_crash_are_published_once(agent: NotificationAgent, mails: Mails, kept: Kept) -> None:
    kept.waiting = list(await mails.notify(about("a"), Decision(send=True, reason=Why.FIRST), 0))
    assert receipts(await agent.start()) == ["a"]
    await agent.tick()
    assert kept.waiting == []


async def test_a_traced_anomaly_leaves_the_decision_and_the_delivery_as_hops(agent: NotificationAgent) -> None:
    out = await agent.handle([about("a", traced=True)])
    hops = [(event.station, event.did) for event in out if isinstance(event, HopEvent)]
    assert hops == [("notification", "decided"), ("mail", "delivered")]


def refused(version: str) -> ModelRefusedEvent:
    model = ModelRef(name="ronda.plant-1.a", version=version, run_id="r", sha256="s")
    return ModelRefusedEvent(site="plant-1", device="a", model=model, why="it was changed", at_ms=1)


async def test_a_refused_model_is_told_once_and_its_receipt_published(agent: NotificationAgent, mails: Mails) -> None:
    assert receipts(await agent.handle([refused("2"), refused("2")])) == ["a"]
    assert await agent.handle([refused("2")]) == []
    assert mails.told == ["a True"]


async def test_another_refused_model_of_the_same_machine_meets_the_cooldown(
    agent: NotificationAgent, mails: Mails
) -> None:
    await agent.handle([refused("2"), refused("3")])
    assert mails.told == ["a True", "a False"]


async def test_what_a_killed_broker_lost_is_told_from_the_store_once(
    agent: NotificationAgent, mails: Mails, kept: Kept
) -> None:
    kept.lost = [about("a")]
    published = [event for _ in range(3 * LOOK_TICKS) for event in await agent.tick()]
    assert mails.told == ["a"]
    assert receipts(published) == ["a"]
    assert receipts(await agent.handle([about("a")])) == [], "it came after all"


async def test_a_refusal_that_a_killed_broker_lost_is_told_from_the_store_once(
    agent: NotificationAgent, mails: Mails, kept: Kept
) -> None:
    kept.lost = [refused("2")]
    published = [event for _ in range(3 * LOOK_TICKS) for event in await agent.tick()]
    assert (mails.told, receipts(published)) == (["a True"], ["a"])


async def test_a_database_that_goes_away_after_the_mail_makes_no_second_one(
    agent: NotificationAgent, mails: Mails, kept: Kept
) -> None:
    kept.unwritable = {"a"}
    with pytest.raises(TransientError):
        await agent.handle([about("a"), about("b")])
    assert receipts(await agent.handle([about("a"), about("b")])) == ["b", "a"]
    assert sorted(mails.told) == ["a", "b"]
    assert sorted(kept.receipts) == sorted(event.id for event in (about("a"), about("b")))


async def test_an_agent_that_is_begun_again_writes_down_what_the_one_before_it_has_sent(
    mails: Mails, kept: Kept
) -> None:
    told: Told = {}
    kept.unwritable = {"a"}
    with pytest.raises(TransientError):
        await NotificationAgent(mails, kept, lambda: 5.0, told=told).handle([about("a")])
    assert receipts(await NotificationAgent(mails, kept, lambda: 5.0, told=told).handle([about("a")])) == ["a"]
    assert mails.told == ["a"]
    assert told == {}


async def test_a_database_that_goes_away_between_two_receipts_gets_the_second_later() -> None:
    kept, mails = SecondRefused(), MailAndWebhook()
    agent = NotificationAgent(mails, kept, lambda: 5.0)
    with pytest.raises(TransientError):
        await agent.handle([about("a")])
    assert receipts(await agent.handle([about("a")])) == ["a", "a"]
    assert kept.channels == ["mail", "webhook"]
    assert mails.told == ["a"]
