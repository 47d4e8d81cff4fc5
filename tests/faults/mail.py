"""The mail server of the plant: takes mails, or misbehaves for a while, and remembers what it said 250 to."""

from __future__ import annotations

import asyncio
import email
from collections import Counter

from aiosmtpd.smtp import SMTP, Envelope, Session

from tests.support.smtp import OK, SmtpServer

HANG_S = 3.0


class MailServer(SmtpServer):
    """`misbehave` says how until `behave`: `451 …`, `554 …`, `hang` or `drop`."""

    def __init__(self) -> None:
        super().__init__()
        self._how = ""
        self.misbehaved = 0
        # Mails that it refused for good: nobody is to blame that these did not arrive.
        self.refused: set[str] = set()

    def misbehave(self, how: str) -> None:
        self._how = how

    def behave(self) -> None:
        self._how = ""

    @property
    def received(self) -> Counter[str]:
        """Message-ID → how often it was taken."""
        return Counter(_message_id(envelope) for envelope in self.taken)

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802  # aiosmtpd's name
        if not self._how:
            self.taken.append(envelope)
            return OK
        self.misbehaved += 1
        if self._how == "hang":
            await asyncio.sleep(HANG_S)
        if self._how in {"hang", "drop"}:
            assert isinstance(server.transport, asyncio.Transport)
            server.transport.abort()
            return "421 gone"
        if self._how.startswith("5"):
            self.refused.add(_message_id(envelope))
        return self._how


def _message_id(envelope: Envelope) -> str:
    assert isinstance(envelope.content, bytes)
    return str(email.message_from_bytes(envelope.content)["Message-ID"]).strip()
