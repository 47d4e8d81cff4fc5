"""One mail, however long the store stays away after the mail server took it: a real SMTP server, a real database."""

from __future__ import annotations

import asyncio
import random
from email import message_from_bytes

import pytest
from aiosmtpd.smtp import SMTP, Envelope, Session

from broker.memory import MemoryBroker
from cloud.agents import runner
from cloud.agents.notification import NotificationAgent, Told
from cloud.agents.runner import Runner
from cloud.notifications.decision import Policy
from cloud.notifications.email import Email, Smtp
from cloud.notifications.notice import Locale
from cloud.notifications.notifier import Notifier
from cloud.storage.database import Database
from cloud.storage.notifications import NotificationStore
from contract.codec import decode_events, encode_events
from contract.events import NotificationSentEvent
from contract.topics import Channel, DeviceTopic
from ronda.journal import NotificationJournal
from ronda.parts import clock_ms
from ronda.processes import kept_alive
from tests.faults.proxy import Proxy
from tests.support.anomalies import anomaly
from tests.support.smtp import SmtpServer

WITHIN_S = 30.0


class CutsTheStore(SmtpServer):
    """Takes the mail, and at that moment the database goes away."""

    def __init__(self, proxy: Proxy) -> None:
        super().__init__()
        self._proxy = proxy

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name
        answer = await super().handle_DATA(server, session, envelope)
        self._proxy.refuse()
        return answer


class Lives:
    """The agent at work, begun again whenever its patience with the database has ended."""

    def __init__(self, database: Database, smtp_port: int, broker: MemoryBroker) -> None:
        self._database = database
        self._port = smtp_port
        self._broker = broker
        self._told: Told = {}
        self.count = 0
        self.third = asyncio.Event()

    async def one(self) -> None:
        self.count += 1
        if self.count == 3:
            self.third.set()
        mail = Email(Smtp(host="127.0.0.1", port=self._port, tls=False), "ronda@plant.example", ["ana@plant.example"])
        notifier = Notifier(
            [mail], policy=Policy(), base_url="http://ronda", locale=Locale(), now_ms=lambda: int(clock_ms())
        )
        journal = NotificationJournal(self._database, clock_ms)
        agent = NotificationAgent(notifier, journal, clock_ms, told=self._told)
        bus = self._broker.bus("ronda-notification")
        await Runner(agent, bus, clock_ms=clock_ms, instance="0-63", since_ms=1).run()


async def test_a_store_that_stays_away_after_the_250_for_longer_than_the_agents_patience_makes_no_second_mail(
    database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(runner, "PATIENCE_S", 0.3)
    port = int(database_url.rpartition(":")[2].partition("/")[0])
    broker, event = MemoryBroker(), anomaly()
    async with Proxy(port, random.Random(1)) as proxy, CutsTheStore(proxy) as server, broker.bus("listener") as heard:
        database = Database(database_url.replace(f":{port}/", f":{proxy.port}/"))
        await database.open()
        await heard.subscribe(DeviceTopic.filter(Channel.NOTIFICATION))
        lives = Lives(database, server.port, broker)
        work = asyncio.create_task(kept_alive("notification", lives.one))
        try:
            async with asyncio.timeout(WITHIN_S):
                while not server.taken:
                    await heard.publish(encode_events([event]))
                    await asyncio.sleep(0.1)
                await lives.third.wait()
                proxy.heal()
                (message, *_) = await heard.receive()
        finally:
            work.cancel()
            await asyncio.gather(work, return_exceptions=True)
        (receipt,) = decode_events(NotificationSentEvent, message.payload)
        (mail,) = server.taken
        assert receipt.message_id == message_from_bytes(bytes(mail.original_content or b""))["Message-ID"].strip()
        assert await NotificationStore(database).by_correlation(event.correlation_id) == [receipt]
        await database.close()
