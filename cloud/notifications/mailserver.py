"""A mail server for a laptop: it really receives what is sent to it and keeps each mail as a file."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from aiosmtpd.smtp import SMTP, Envelope, Session

from cloud.notifications.mailbox import Mailbox

log = logging.getLogger("ronda.mail")

# Ours weigh 60 kB; a mail with a film in it has come to the wrong place.
_MOST_BYTES = 10_000_000


class MailServer:
    """Listens on this machine alone, in the caller's event loop, for whoever sends mail without EMAIL_SMTP_HOST."""

    def __init__(self, mailbox: Mailbox, *, now_ms: Callable[[], int], host: str = "127.0.0.1", port: int = 0) -> None:
        self._mailbox = mailbox
        self._now_ms = now_ms
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        """Listen. Raises: OSError when the port is taken."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(self._conversation, self._host, self._port)
        self._port = self._server.sockets[0].getsockname()[1]
        log.info("mailserver.started", extra={"host": self._host, "port": self._port})

    async def stop(self) -> None:
        """Listen no longer; what was received stays."""
        if self._server is not None:
            self._server.close()
            await self._server.wait_closed()
            self._server = None

    @property
    def port(self) -> int:
        """Where it listens: the given port, or the free one that was found."""
        return self._port

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: ARG002, N802  # aiosmtpd's signature
        """Keep the mail, then say so: the 250 names the file, and stands as the receipt in the trace."""
        try:
            mail_id = await asyncio.to_thread(self._mailbox.keep, _content(envelope), self._now_ms())
        except OSError as error:
            log.exception("mail.unkept")
            return f"452 the mail could not be kept: {error.strerror}"
        log.info("mail.received", extra={"mail": mail_id})
        return f"250 2.0.0 Ok: kept as {mail_id}"

    def _conversation(self) -> SMTP:
        # The host name is given, since finding it out would ask the DNS.
        return SMTP(self, data_size_limit=_MOST_BYTES, hostname="ronda.localhost", ident="Ronda", timeout=60)


def _content(envelope: Envelope) -> bytes:
    """The mail as it came; text only for a server that was told to decode, which this one was not."""
    content = envelope.content or b""
    return content.encode() if isinstance(content, str) else content
