"""Mail over SMTP: encrypted, with a login where asked, and the server's own 250 line as the receipt."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import re
import socket
import ssl
from collections.abc import Mapping, Sequence
from email.headerregistry import Address
from email.message import EmailMessage

import aiosmtplib
import msgspec

from cloud.notifications.channel import DeliveryError, Receipt
from cloud.notifications.message import compose
from cloud.notifications.plain import one_line
from cloud.notifications.refusal import AnyNotice
from contract.errors import TransientError

log = logging.getLogger("ronda.notifications")

# RFC 8314: on this port the connection is encrypted from its first byte; elsewhere STARTTLS asks for it.
_IMPLICIT_TLS_PORT = 465
# A message in work is remembered until all its recipients have it; more at once is a flood that nobody reads.
_MOST_IN_WORK = 64
_RECEIPT_LENGTH = 500
# A courtesy, so not waited for long.
_GOODBYE_S = 2.0

# ASCII only: other letters in an address need SMTPUTF8, which few servers speak; a domain has its `xn--` form.
_ADDRESS = re.compile(r"[^<>\r\n]*<(?P<named>[!-~]+@[!-~]+)>|(?P<bare>[!-;=?-~]+@[!-;=?-~]+)", re.ASCII)

Answers = Mapping[str, aiosmtplib.SMTPResponse]


class Smtp(msgspec.Struct, frozen=True, kw_only=True):
    """The mail server. `tls` off never encrypts; `user` empty never logs in. `timeout_s` bounds one whole delivery."""

    host: str
    port: int = 587
    tls: bool = True
    user: str = ""
    password: str = ""
    timeout_s: float = 30.0
    trust: ssl.SSLContext | None = None


def addresses(text: str) -> list[str]:
    """The addresses of `EMAIL_TO`, separated by commas: `ana@plant.example, Bruno <bruno@plant.example>`.

    Raises: ValueError naming what is none.
    """
    return list(dict.fromkeys(_address(part.strip()) for part in text.split(",")))


def _address(part: str) -> str:
    found = _ADDRESS.fullmatch(part)
    try:
        return Address(addr_spec=(found["named"] or found["bare"]) if found else "").addr_spec
    except (ValueError, IndexError):
        raise ValueError(f"{one_line(part)!r} is no mail address, such as ana@plant.example") from None


class _Progress:
    """Who has one message already, and the server's line for it."""

    def __init__(self) -> None:
        self.reached: list[str] = []
        self.line = ""


class Email:
    """The mail channel: one message to all recipients."""

    name = "mail"

    def __init__(self, smtp: Smtp, sender: str, recipients: Sequence[str]) -> None:
        self._smtp = smtp
        self._sender = sender
        self._recipients = recipients
        self._in_progress: dict[str, _Progress] = {}

    async def send(self, notice: AnyNotice) -> Receipt:
        """Deliver to everybody who has not got this message yet.

        A server may take it for some and ask to wait for others (greylisting): the next try goes to the others alone.

        Raises:
            TransientError: no connection, a time-out, a 4xx answer, or one that cannot be read.
            DeliveryError: a 5xx answer, a certificate that is not trusted, or no TLS where it was asked for.
        """
        message = await asyncio.to_thread(compose, notice, self._sender, self._recipients)
        progress = self._in_work(notice.message_id)
        waiting = [address for address in self._recipients if address not in progress.reached]
        refused, line = await self._deliver(message, waiting)
        if accepted := [address for address in waiting if address not in refused]:
            progress.reached.extend(accepted)
            progress.line = line
        if later := {address: answer for address, answer in refused.items() if not _is_final(answer.code)}:
            raise TransientError(f"{self._where} asks to try again later for {_spelled(later)}")
        del self._in_progress[notice.message_id]
        if not progress.reached:
            raise DeliveryError(f"{self._where} refused {_spelled(refused)}")
        if refused:
            log.warning("recipient.refused", extra={"refused": _spelled(refused), "message_id": notice.message_id})
        return Receipt(_receipt(progress.line, refused), progress.reached)

    @property
    def _where(self) -> str:
        return f"mail server {self._smtp.host}:{self._smtp.port}"

    def _in_work(self, message_id: str) -> _Progress:
        while len(self._in_progress) >= _MOST_IN_WORK and message_id not in self._in_progress:
            del self._in_progress[next(iter(self._in_progress))]
        return self._in_progress.setdefault(message_id, _Progress())

    async def _deliver(self, message: EmailMessage, recipients: Sequence[str]) -> tuple[Answers, str]:
        """Whom the server refused and how, and its answer to the message."""
        client = self._client()
        try:
            async with asyncio.timeout(self._smtp.timeout_s):
                await client.connect()
                return await _hand_over(client, self._sender, recipients, message)
        except aiosmtplib.SMTPResponseException as error:
            kind = DeliveryError if _is_final(error.code) else TransientError
            raise kind(f"{self._where} answered {error.code} {one_line(error.message)}") from error
        except (aiosmtplib.SMTPException, OSError) as error:
            raise self._unreached(error) from error
        finally:
            await _leave(client)

    def _client(self) -> aiosmtplib.SMTP:
        smtp = self._smtp
        implicit = smtp.tls and smtp.port == _IMPLICIT_TLS_PORT
        return aiosmtplib.SMTP(
            hostname=smtp.host,
            port=smtp.port,
            username=smtp.user or None,
            password=smtp.password if smtp.user else None,
            local_hostname=_own_name(),
            timeout=smtp.timeout_s,
            use_tls=implicit,
            start_tls=smtp.tls and not implicit,
            tls_context=smtp.trust,
        )

    def _unreached(self, error: Exception) -> TransientError | DeliveryError:
        causes = (error, error.__cause__)
        if any(isinstance(cause, ssl.SSLCertVerificationError) for cause in causes):
            return DeliveryError(f"{self._where} shows a certificate that is not trusted: {one_line(str(error))}")
        if isinstance(error, OSError):
            said = one_line(str(error)) or f"no answer within {self._smtp.timeout_s:g} s"
            return TransientError(f"{self._where} is not there: {said}")
        return DeliveryError(f"{self._where} cannot do what EMAIL_SMTP_* asks for: {one_line(str(error))}")


async def _hand_over(
    client: aiosmtplib.SMTP, sender: str, recipients: Sequence[str], message: EmailMessage
) -> tuple[Answers, str]:
    """Whom the server refused and how, which may be everybody, and its answer to the message."""
    try:
        return await client.sendmail(sender, recipients, message.as_bytes())
    except aiosmtplib.SMTPRecipientsRefused as error:
        return {one.recipient: aiosmtplib.SMTPResponse(one.code, one.message) for one in error.recipients}, ""


async def _leave(client: aiosmtplib.SMTP) -> None:
    """The server has answered for the message, or never will; how it says good-bye changes nothing."""
    with contextlib.suppress(aiosmtplib.SMTPException, OSError):
        await client.quit(timeout=_GOODBYE_S)
    client.close()


def _own_name() -> str:
    """For EHLO. The full name would cost a DNS look-up; RFC 5321, section 4.1.4 allows the address in its place."""
    name = socket.gethostname()
    return name if "." in name and name.isascii() else "[127.0.0.1]"


def _is_final(code: int) -> bool:
    """Did the server say that this never works? A line that broke off has no code, and is not its last word."""
    return 500 <= code < 600


def _spelled(answers: Answers) -> str:
    return ", ".join(f"{address} ({answer.code} {one_line(answer.message)})" for address, answer in answers.items())


def _receipt(line: str, refused: Answers) -> str:
    said = f"250 {one_line(line)}"
    return (f"{said}; refused: {_spelled(refused)}" if refused else said)[:_RECEIPT_LENGTH]
