"""The broker of a laptop and a small site: in this process, durable, and strict about who says what."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from amqtt.errors import BrokerError

from broker.access import AccessRules
from broker.bus import Promises
from broker.credentials import Credentials
from broker.embedded.clients import Limits, QueueSpec
from broker.embedded.counters import Status
from broker.embedded.exchange import Exchange
from broker.embedded.log import Log
from broker.embedded.server import Server
from broker.fullness import Fill
from broker.listeners import Listener
from broker.sys_tree import QUEUES, said
from contract.access import Party
from contract.errors import RondaError

log = logging.getLogger("ronda.broker")

# kill -9 of the process loses nothing acknowledged; a power cut may take the last seconds, which devices send again.
EMBEDDED = Promises(
    redelivers_unacknowledged=True,
    survives_subscriber_kill=True,
    keeps_order_per_publisher=True,
    survives_broker_restart=True,
    survives_broker_kill=True,
    refuses_when_full=True,
)


class EmbeddedBrokerError(RondaError):
    """The broker cannot start."""


class EmbeddedBroker:
    """An MQTT 3.1.1 broker whose PUBACK means: in the log of every durable subscriber."""

    promises = EMBEDDED

    def __init__(
        self,
        data_dir: Path,
        host: str,
        port: int,
        credentials: Credentials,
        parties: Sequence[Party],
        queues: Mapping[str, QueueSpec],
        *,
        further: Sequence[Listener] = (),
        limits: Limits | None = None,
        now_s: Callable[[], float] = time.time,
    ) -> None:
        """`host` and `port` are those of the plain listener; `further` ones may have TLS."""
        self.host, self.port = host, port
        self._further = further
        self._credentials, self._queues = credentials, dict(queues)
        self._log = Log(data_dir / "broker.sqlite")
        self._rules, self._limits, self._now_s = AccessRules(parties), limits or Limits(), now_s
        self._server: Server | None = None
        self._exchange: Exchange | None = None

    async def start(self) -> None:
        """Restore what was kept, make the declared queues, then listen; `port` is then the real one.

        Raises: EmbeddedBrokerError when a port is taken, LogError when the folder cannot be used, TlsError when a
        certificate cannot.
        """
        # Its prose about every connection says less than our own events.
        logging.getLogger("amqtt").setLevel(logging.ERROR)
        self._log.open()
        try:
            self._exchange = Exchange(self._log, self._rules, self._limits, self._now_s)
            self._exchange.restore(self._queues)
            listeners = [Listener(self.host, self.port), *self._further]
            self._server = Server(listeners, self._credentials, self._exchange)
            await self._server.start()
        except BaseException as error:
            server, self._server = self._server, None
            if server is not None:
                await server.close_listeners()
            await self._log.close()
            if isinstance(error, BrokerError):
                raise EmbeddedBrokerError(
                    f"the broker cannot listen on {' and '.join(map(str, listeners))}: {error.__cause__ or error}; "
                    "stop what uses the port or choose another one"
                ) from error
            raise
        self.port = self._server.port
        log.info(
            "broker.started",
            extra={
                "listeners": [str(Listener(self.host, self.port)), *map(str, self._further)],
                "queues": len(self._queues),
            },
        )

    async def stop(self) -> None:
        """Close all connections, write what is left, release the port and the folder."""
        server, self._server = self._server, None
        if server is None:
            return
        await server.shutdown()
        await self._log.close()
        log.info("broker.stopped", extra={"port": self.port})

    def status(self) -> Status:
        """What is counted and what waits. Raises: EmbeddedBrokerError before `start`."""
        if self._exchange is None:
            raise EmbeddedBrokerError("the broker was not started")
        return self._exchange.status()

    def fills(self) -> list[Fill]:
        """How full the queues are that hold publishers back, said to whoever listens too; none before `start`."""
        if self._exchange is None:
            return []
        found = self._exchange.fills()
        self._exchange.say(QUEUES, said(found))
        return found

    def dead_letters(self) -> list[tuple[str, str, bytes]]:
        """Messages that were put aside, since their subscriber never survived them: client, topic, payload."""
        return self._log.dead()
