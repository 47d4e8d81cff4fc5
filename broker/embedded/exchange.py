"""Where a message goes: checked against the access rules, logged for the durable, offered to the live."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping

import msgspec

from broker.access import AccessRules, Action
from broker.embedded.clients import DEVICE_LIMITS, Client, Limits, Line, QueueSpec, is_service
from broker.embedded.counters import Counters, QueueDepth, Status
from broker.embedded.log import Log
from broker.embedded.outbox import DurableOutbox, Outbox
from broker.embedded.routes import Routes
from broker.embedded.rows import StoredSession
from broker.filters import matches, shortened
from broker.fullness import Fill

log = logging.getLogger("ronda.broker.exchange")

# One retained status, desired configuration, watermark and champion for each of 25,000 devices.
_MAX_RETAINED = 100_000
# A message sent this often as the first of its queue, and every time the client vanished without a good-bye, may be
# what kills it: then one at a time, to be sure which; and after that it is put aside.
_SUSPECT_AFTER = 3
_DEAD_AFTER = 10
# A user who is refused again and again fills one log line in this time.
_REPORT_EVERY_S = 10.0
_REPORTS = 10_000


class Exchange:
    """All clients, their subscriptions and the retained messages."""

    def __init__(self, messages: Log, rules: AccessRules, limits: Limits, now_s: Callable[[], float]) -> None:
        self.log, self.rules, self.counters = messages, rules, Counters()
        self.routes = Routes()
        self.clients: dict[str, Client] = {}
        self.room = asyncio.Event()
        self._limits, self._now_s = limits, now_s
        self._retained: dict[str, tuple[bytes, int]] = {}
        self._reported: dict[tuple[str, str], float] = {}

    # -- sessions --

    def restore(self, queues: Mapping[str, QueueSpec]) -> None:
        """Bring back what the log knows; declared queues are made as they are declared.

        One that nobody declares may be an agent's that runs elsewhere: it keeps what it has, and goes when it was not
        used for a week.
        """
        for topic, payload, qos in self.log.retained():
            self._retained[topic] = (payload, qos)
        for stored in self.log.sessions():
            spec = queues.get(stored.client)
            if spec is None or spec.user == stored.user:
                self._add_durable(stored, declared=spec is not None)
            else:
                self.log.remove_session(stored.client, stored.number)
                log.info("queue.removed", extra={"client_id": stored.client})
        for client_id, spec in queues.items():
            self._declare(client_id, spec)

    def start_session(self, client_id: str, user: str, *, durable: bool) -> tuple[Client, bool]:
        """The client's session, and whether it was there before."""
        known = self.clients.get(client_id)
        if known is not None and durable and known.durable is not None:
            return known, True
        if known is not None:
            self.end_session(known)
        if durable:
            return self._add_durable(self.log.add_session(client_id, user, self._now_s()), declared=False), False
        client = self.clients[client_id] = Client(client_id, user, Outbox(), declared=False)
        return client, False

    def end_session(self, client: Client) -> None:
        """Forget a client: its subscriptions and what waits for it."""
        if self.clients.get(client.client_id) is not client:
            return
        self.routes.remove_all(client.client_id)
        del self.clients[client.client_id]
        if client.durable is not None:
            self.log.remove_session(client.client_id, client.durable.number)

    def connect(self, client: Client, line: Line) -> bytes:
        """A connection for the session is there; returns what has to be sent again at once."""
        if client.line is not None:
            client.line.cut("taken over")
        client.line = line
        durable = client.durable
        if durable is None:
            return b""
        self._charge(client, durable)
        return durable.connect(one_by_one=client.attempts > _SUSPECT_AFTER)

    def disconnect(self, client: Client, line: Line, *, kindly: bool) -> None:
        """The connection is gone; `kindly` when the client, a take-over or the broker itself ended it on purpose."""
        if client.line is not line:
            return
        client.line = None
        client.last_seen_s = self._now_s()
        if client.durable is None:
            self.end_session(client)
            return
        client.durable.disconnect()
        if kindly:
            client.attempts -= 1
        self._mark(client)

    def subscribe(self, client: Client, wanted: str, qos: int) -> None:
        """Add a subscription; a durable one is on disk before the client hears of it."""
        if client.durable is not None:
            self.log.add_subscription(client.client_id, wanted, qos)
        self.routes.add(client.client_id, wanted, qos)

    def unsubscribe(self, client: Client, wanted: str) -> bool:
        """End a subscription; False when there was none."""
        if client.durable is not None:
            self.log.remove_subscription(client.client_id, wanted)
        return self.routes.remove(client.client_id, wanted)

    # -- messages --

    def publish(self, user: str, topic: str, payload: bytes, *, qos: int, retain: bool) -> bool:
        """Take a message. False: an agent's queue has no room for it, try again when `room` is set.

        One that the rules refuse is taken too, and dropped and counted.
        """
        refusal = self.rules.refusal(user, Action.WRITE, topic)
        if refusal is not None:
            self.counters.refuse(refusal)
            self._report(user, topic, refusal)
            return True
        readers = self._readers(topic)
        if qos and any(client.holds_back for client, _ in readers):
            return False
        self.counters.received += 1
        for client, granted in readers:
            self._hand(client, topic, payload, qos=min(qos, granted), retain=False)
        if retain:
            self._keep(topic, payload, qos)
        return True

    def acknowledge(self, client: Client, packet_id: int) -> None:
        """A subscriber has a message; whoever was held back by its queue may go on."""
        client.outbox.acknowledge(packet_id)
        if not self.room.is_set():
            self.room.set()

    def send_retained(self, client: Client, wanted: str, granted: int) -> None:
        """Hand a new subscriber what is retained there and it may read."""
        if "+" in wanted or "#" in wanted:
            topics = [topic for topic in self._retained if matches(wanted, topic)]
        else:
            topics = [wanted] if wanted in self._retained else []
        for topic in topics:
            if self.rules.may(client.user, Action.READ, topic):
                payload, qos = self._retained[topic]
                self._hand(client, topic, payload, qos=min(qos, granted), retain=True)

    def status(self) -> Status:
        """The broker at this moment."""
        queues = [
            QueueDepth(c.client_id, c.user, c.line is not None, c.durable.rows, c.durable.octets)
            for c in self.clients.values()
            if c.durable is not None
        ]
        room = self.log.room
        counters = msgspec.structs.replace(self.counters, refused=dict(self.counters.refused), disk_full=room.ran_out)
        return Status(counters, queues, len(self._retained), self.log.dead_count(), room.scarce)

    def fills(self) -> list[Fill]:
        """How full the queues are that hold publishers back, and the disk when it is: then it bounds all of them."""
        waited_for = [c for c in self.clients.values() if c.durable is not None and c.is_waited_for]
        found = [fill for c in waited_for if c.durable for fill in c.durable.fills(f"queue of {c.user}")]
        return [*found, Fill("disk of the broker", 100, 100, "percent")] if self.log.room.scarce else found

    def say(self, topic: str, payload: bytes) -> None:
        """The broker's own word, to those who listen at this moment; kept for nobody."""
        for client, _ in self._readers(topic):
            if client.line is not None:
                client.outbox.offer(topic, payload, qos=0, retain=False)

    def tidy(self) -> None:
        """Now and then: tidy the log, and let those try again who were held back for want of room on its disk."""
        self.log.tidy()
        self.room.set()

    def _readers(self, topic: str) -> list[tuple[Client, int]]:
        may = self.rules.may
        return [
            (client, qos)
            for client_id, qos in self.routes.subscribers(topic)
            if (client := self.clients.get(client_id)) is not None and may(client.user, Action.READ, topic)
        ]

    def _hand(self, client: Client, topic: str, payload: bytes, *, qos: int, retain: bool) -> None:
        durable = client.durable
        if qos and durable is not None:
            if not durable.full or (retain and is_service(client.user)):
                durable.append(topic, payload, retain=retain)
                return
        elif client.line is None or client.outbox.offer(topic, payload, qos=qos, retain=retain):
            return
        self.counters.dropped_slow += 1

    def _keep(self, topic: str, payload: bytes, qos: int) -> None:
        if not payload:
            self._retained.pop(topic, None)
        elif topic in self._retained or len(self._retained) < _MAX_RETAINED:
            self._retained[topic] = (payload, qos)
        else:
            self.counters.dropped_retained += 1
            return
        self.log.retain(topic, payload, qos)

    def _report(self, user: str, topic: str, reason: str) -> None:
        now = self._now_s()
        if now - self._reported.get((user, reason), 0.0) < _REPORT_EVERY_S:
            return
        if len(self._reported) > _REPORTS:
            self._reported.clear()
        self._reported[user, reason] = now
        log.warning("publish.refused", extra={"user": user, "topic": shortened(topic), "reason": reason})

    # -- durable sessions --

    def _declare(self, client_id: str, spec: QueueSpec) -> None:
        client = self.clients.get(client_id)
        if client is None:
            stored = self.log.add_session(client_id, spec.user, self._now_s())
            client = self._add_durable(stored, declared=True)
        for wanted in set(self.routes.filters(client_id)) - set(spec.filters):
            self.unsubscribe(client, wanted)
        for wanted in spec.filters:
            self.subscribe(client, wanted, 1)

    def _add_durable(self, stored: StoredSession, *, declared: bool) -> Client:
        limits = self._limits if is_service(stored.user) else DEVICE_LIMITS
        outbox = DurableOutbox(self.log, stored.number, max_rows=limits.rows, max_octets=limits.octets, seq=stored.head)
        client = self.clients[stored.client] = Client(stored.client, stored.user, outbox, declared=declared)
        client.head, client.attempts, client.last_seen_s = stored.head, stored.attempts, stored.seen_s
        for wanted, qos in self.log.subscriptions(stored.client).items():
            self.routes.add(stored.client, wanted, qos)
        return client

    def _charge(self, client: Client, durable: DurableOutbox) -> None:
        """Count one more sending of the queue's first message, on disk, so that a crash cannot forget it."""
        head = durable.head()
        if head is not None and head.seq == client.head and client.attempts >= _DEAD_AFTER:
            self._bury(client, durable)
            head = durable.head()
        seq = head.seq if head is not None else client.head
        client.attempts = client.attempts + 1 if head is not None and seq == client.head else 1
        client.head = seq
        self._mark(client)

    def _bury(self, client: Client, durable: DurableOutbox) -> None:
        row = durable.head()
        if row is None:
            return
        self.log.bury(client.client_id, row, self._now_s())
        durable.skip(row)
        self.counters.dead_letters += 1
        log.error(
            "message.buried", extra={"client_id": client.client_id, "topic": row.topic, "attempts": client.attempts}
        )

    def _mark(self, client: Client) -> None:
        self.log.mark(client.client_id, head=client.head, attempts=client.attempts, now_s=self._now_s())
