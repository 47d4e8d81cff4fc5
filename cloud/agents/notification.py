"""Tells people, once and with the reason, and keeps the receipt."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Protocol

from cloud.agents.agent import Agent, Input
from cloud.notifications.decision import Decision, LastSent
from contract.events import (
    AnomalyDetectedEvent,
    Delivery,
    Event,
    HopEvent,
    ModelRefusedEvent,
    NotificationSentEvent,
)

# Mosquitto loses what it acknowledged when it is killed; the store knows every alarm that was raised.
LOOK_TICKS = 10


class Notifier(Protocol):
    """Decides, and sends through every channel there is."""

    def decide(self, event: AnomalyDetectedEvent, last: LastSent | None) -> Decision:
        """Is a person told of `event`, given the last message about its device?"""

    async def notify(
        self, event: AnomalyDetectedEvent, decision: Decision, suppressed: int
    ) -> Sequence[NotificationSentEvent]:
        """Do as decided: one receipt per channel, delivered, failed or suppressed."""

    def decide_refusal(self, last_told_ms: int | None) -> Decision:
        """Is a person told of a refused model, given when they last were of this device's?"""

    async def notify_refusal(self, event: ModelRefusedEvent, decision: Decision) -> Sequence[NotificationSentEvent]:
        """Do as decided, likewise."""


class Journal(Protocol):
    """What was sent and what was held back."""

    async def last_sent(self, site: str, device: str) -> LastSent | None:
        """The last message about this device that really went out."""

    async def refusal_told_ms(self, site: str, device: str) -> int | None:
        """When people were last told of a refused model of this device."""

    async def is_decided(self, event: AnomalyDetectedEvent | ModelRefusedEvent) -> bool:
        """Was this very event delivered or held back before? A batch comes again after a failure or a crash."""

    async def held_back(self, site: str, device: str) -> int:
        """How many were held back by the cooldown since then."""

    async def untold(self) -> Sequence[AnomalyDetectedEvent | ModelRefusedEvent]:
        """Events that were published a while ago and never decided on: a broker that was killed may have lost them.

        Of refused models only those that are not in use meanwhile.
        """

    async def record(self, event: AnomalyDetectedEvent, receipts: Sequence[NotificationSentEvent]) -> None:
        """Keep the receipts and that they are to be published, in one transaction; repeats change nothing."""

    async def record_refusal(self, refusal: ModelRefusedEvent, receipts: Sequence[NotificationSentEvent]) -> None:
        """The same for receipts about a refused model."""

    async def unpublished(self) -> Sequence[NotificationSentEvent]:
        """Receipts that were kept and perhaps never published, because the process died in between."""

    async def published(self, receipts: Sequence[NotificationSentEvent]) -> None:
        """These reached the broker."""


# What was sent and is not yet written down, by event: the hops and the receipts.
Told = dict[str, tuple[list[Event], Sequence[NotificationSentEvent]]]


class NotificationAgent(Agent):
    """Decides for each anomaly event and refused model whether a person hears of it, and publishes the receipt.

    `told` belongs to the process: an agent that is begun again, since the database stays away, writes down what the one
    before it has sent, and sends nothing twice.
    """

    name, partitioned = "notification", False
    consumes = (AnomalyDetectedEvent, ModelRefusedEvent)
    produces = (NotificationSentEvent,)

    def __init__(
        self,
        notifier: Notifier,
        journal: Journal,
        clock_ms: Callable[[], float],
        *,
        warm_up: Callable[[], None] = lambda: None,
        told: Told | None = None,
    ) -> None:
        self._notifier = notifier
        self._journal = journal
        self._clock_ms = clock_ms
        self._warm_up = warm_up
        # Done but not yet handed to the runner: they outlive a retry, which does not send again.
        self._done: list[Event] = []
        self._outgoing: list[NotificationSentEvent] = []
        self._told: Told = {} if told is None else told
        self._ticks = 0

    async def start(self) -> Sequence[Event]:
        """Publish what a crash left between the commit and the broker; be warm for the first mail."""
        await asyncio.to_thread(self._warm_up)
        left = await self._journal.unpublished()
        self._outgoing += left
        return left

    async def handle(self, batch: Sequence[Input]) -> Sequence[Event]:
        """Each device's events in order, the devices beside each other."""
        by_device: dict[tuple[str, str], list[AnomalyDetectedEvent | ModelRefusedEvent]] = {}
        for event in batch:
            if isinstance(event, AnomalyDetectedEvent | ModelRefusedEvent):
                by_device.setdefault((event.site, event.device), []).append(event)
        work = [self._one_device(events) for events in by_device.values()]
        # Each to its end, so that nobody is still sending when a failure has the batch begun again.
        failures = [failure for failure in await asyncio.gather(*work, return_exceptions=True) if failure]
        if failures:
            raise failures[0]
        done, self._done = self._done, []
        return done

    async def tick(self) -> Sequence[Event]:
        """What was handed out before has reached the broker by now. Now and then, tell what never reached us."""
        if self._outgoing:
            await self._journal.published(self._outgoing)
            self._outgoing = []
        self._ticks += 1
        return await self.handle(await self._journal.untold()) if self._ticks % LOOK_TICKS == 0 else ()

    async def _one_device(self, events: Sequence[AnomalyDetectedEvent | ModelRefusedEvent]) -> None:
        for event in events:
            # Of several receipts the first may be written down already, and the rest not.
            if event.id not in self._told and await self._journal.is_decided(event):
                continue
            if isinstance(event, ModelRefusedEvent):
                await self._refusal(event)
            else:
                await self._anomaly(event)

    async def _refusal(self, event: ModelRefusedEvent) -> None:
        if event.id not in self._told:
            decision = self._notifier.decide_refusal(await self._journal.refusal_told_ms(event.site, event.device))
            self._told[event.id] = [], await self._notifier.notify_refusal(event, decision)
        _, receipts = self._told[event.id]
        await self._journal.record_refusal(event, receipts)
        self._hand_out(event.id)

    async def _anomaly(self, event: AnomalyDetectedEvent) -> None:
        if event.id not in self._told:
            self._told[event.id] = await self._tell(event)
        _, receipts = self._told[event.id]
        await self._journal.record(event, receipts)
        self._hand_out(event.id)

    async def _tell(self, event: AnomalyDetectedEvent) -> tuple[list[Event], Sequence[NotificationSentEvent]]:
        """Decide and send: the hops of a traced event, and the receipts."""
        decision = self._notifier.decide(event, await self._journal.last_sent(event.site, event.device))
        decided = self._hop(event, self.name, "decided", {"reason": str(decision.reason)})
        suppressed = await self._journal.held_back(event.site, event.device) if decision.send else 0
        receipts = await self._notifier.notify(event, decision, suppressed)
        told = [
            self._hop(event, receipt.channel, str(receipt.delivery), {"receipt": receipt.receipt})
            for receipt in receipts
            if receipt.delivery is not Delivery.SUPPRESSED
        ]
        return [decided, *told] if event.traced else [], receipts

    def _hand_out(self, event_id: str) -> None:
        """It is written down: publish it."""
        hops, receipts = self._told.pop(event_id)
        self._outgoing += receipts
        self._done += [*receipts, *hops]

    def _hop(
        self, event: AnomalyDetectedEvent, station: str, did: str, detail: dict[str, str | float | int]
    ) -> HopEvent:
        return HopEvent(
            site=event.site,
            device=event.device,
            correlation_id=event.correlation_id,
            station=station,
            at_ms=self._clock_ms(),
            readings=1,
            did=did,
            detail=detail,
        )
