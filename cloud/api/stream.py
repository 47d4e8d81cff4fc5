"""What happens in the plant, live for every browser: each event serialised once, handed to bounded queues."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import Callable, Iterator

import msgspec

from broker.bus import Message
from cloud.api.ring import KEPT, Outlet, Positions, Told
from cloud.api.views import anomaly_view, hop_view, newest_reading, notification_view
from contract.codec import decode_events
from contract.events import (
    AgentStatus,
    AnomalyDetectedEvent,
    HopEvent,
    NotificationSentEvent,
    Phase,
    ValidatedDataEvent,
)

# A chart that moves four times a second is live to the eye; more only costs the browser.
READING_INTERVAL_MS = 250

_encode = msgspec.json.Encoder().encode


class Replay(msgspec.Struct, frozen=True):
    """What a returning listener missed: `whole` when the ring still had all of it, else the store must be asked."""

    told: list[Told]
    whole: bool


class Hub:
    """Hears the bus and tells the listeners."""

    def __init__(self, clock_ms: Callable[[], float], dropped: Callable[[], None] = lambda: None) -> None:
        self._clock_ms = clock_ms
        self._dropped = dropped
        self._positions = Positions(clock_ms)
        # What is older than this process cannot be in the ring.
        self._floor = self._positions.last
        self._ring: deque[Told] = deque()
        self._outlets: set[Outlet] = set()
        self._reading_told_ms: dict[tuple[str, str], float] = {}
        self._raised: dict[str, AnomalyDetectedEvent] = {}
        # What comes twice, from the bus or from bus and store, is told once.
        self._told: dict[tuple[str, str], None] = {}

    @property
    def position(self) -> int:
        """That of the last event told."""
        return self._positions.last

    @property
    def listeners(self) -> int:
        """How many are connected."""
        return len(self._outlets)

    def hear_anomaly(self, message: Message) -> None:
        """An anomaly was raised, updated or cleared."""
        for event in decode_events(AnomalyDetectedEvent, message.payload):
            self.tell_anomaly(self._raised_before(event), event)

    def hear_notification(self, message: Message) -> None:
        """Somebody was told, or was not, and why."""
        for event in decode_events(NotificationSentEvent, message.payload):
            self.tell_notification(event)

    def hear_hops(self, message: Message) -> None:
        """A traced message passed a station."""
        for event in decode_events(HopEvent, message.payload):
            self._tell("hop", event.id, hop_view(event))

    def hear_readings(self, message: Message) -> None:
        """Readings were validated: the newest of each device, at most four times a second, to whom is there now."""
        if not self._outlets:
            return
        for event in decode_events(ValidatedDataEvent, message.payload):
            if not event.replayed and self._is_due((event.site, event.device)):
                view = newest_reading(event)
                self._tell("reading", view.correlation_id, view, keep=False)

    def tell_anomaly(self, raised: AnomalyDetectedEvent, latest: AnomalyDetectedEvent) -> None:
        """An anomaly as it stands; from the bus, or from the store where the bus was not heard."""
        self._raised[raised.anomaly_id] = raised
        if len(self._raised) > KEPT:
            del self._raised[next(iter(self._raised))]
        self._tell("anomaly", latest.id, anomaly_view(raised, latest))

    def tell_notification(self, event: NotificationSentEvent) -> None:
        """A receipt; from the bus, or from the store where the bus was not heard."""
        self._tell("notification", event.id, notification_view(event))

    def tell_agent(self, status: AgentStatus) -> None:
        """An agent came or went."""
        self._tell("agent", f"{status.agent}/{status.instance}/{self._positions.next()}", status)

    @contextlib.contextmanager
    def listening(self) -> Iterator[Outlet]:
        """A queue that fills from now on."""
        outlet = Outlet()
        self._outlets.add(outlet)
        try:
            yield outlet
        finally:
            self._outlets.discard(outlet)

    def replay(self, since: int) -> Replay:
        """What was told after `since`."""
        return Replay([told for told in self._ring if told.position > since], whole=since >= self._floor)

    def _raised_before(self, event: AnomalyDetectedEvent) -> AnomalyDetectedEvent:
        """The event that raised this anomaly, or the best that a later one says about it."""
        if event.phase is Phase.RAISED:
            return event
        known = self._raised.get(event.anomaly_id)
        return known or msgspec.structs.replace(event, measured_at_ms=event.since_ms)

    def _is_due(self, device: tuple[str, str]) -> bool:
        now_ms = self._clock_ms()
        if 0 <= now_ms - self._reading_told_ms.get(device, 0) < READING_INTERVAL_MS:
            return False
        self._reading_told_ms[device] = now_ms
        return True

    def _tell(self, kind: str, identity: str, data: msgspec.Struct, *, keep: bool = True) -> None:
        if keep and (kind, identity) in self._told:
            return
        told = tell(self._positions.next(), kind, identity, data)
        if keep:
            self._keep(told, (kind, identity))
        for outlet in self._outlets:
            if not outlet.put(told):
                self._dropped()

    def _keep(self, told: Told, name: tuple[str, str]) -> None:
        self._ring.append(told)
        self._told[name] = None
        if len(self._ring) > KEPT:
            self._floor = self._ring.popleft().position
            del self._told[next(iter(self._told))]


def tell(position: int, kind: str, identity: str, data: object) -> Told:
    """The text that goes to the browsers; `id` is the event's own, so that a repeat can be told from a new one."""
    body = {"position": position, "type": kind, "id": identity, "data": data}
    return Told(position, _encode(body).decode())
