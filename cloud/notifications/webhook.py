"""A signed HTTP POST for other systems: the event as it is, the sentence, and where to go next.

How a receiver verifies it: take the header `X-Ronda-Signature`, which reads `t=1763398440,v1=5257a8…`; join `t`, a dot
and the raw body as received; compute HMAC-SHA256 of that with the shared secret (WEBHOOK_SECRET); compare the hex
digest with `v1` in constant time; refuse a `t` more than five minutes from now, lest an old message is played again.

    fields = dict(part.split("=", 1) for part in header.split(","))
    expected = hmac.new(secret, fields["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    genuine = hmac.compare_digest(expected, fields["v1"]) and abs(time.time() - int(fields["t"])) <= 300

`X-Ronda-Event-Id` is the same when a message is sent again: a receiver that remembers it acts once.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import ssl
from collections.abc import Callable
from typing import Any

import httpx
import msgspec

from cloud.notifications.channel import DeliveryError, Receipt
from cloud.notifications.facts import facts_of
from cloud.notifications.notice import CORRELATION_HEADER, Notice
from cloud.notifications.plain import one_line
from cloud.notifications.refusal import AnyNotice, RefusalNotice, sentence
from contract.errors import TransientError
from contract.events import Cause

# Asked to wait (RFC 9110: 408; RFC 8470: 425; RFC 6585: 429): the same message is right later.
_LATER = frozenset({408, 425, 429})
# A receipt is a line; a receiver that answers with a book is not read to its end.
_ANSWER_BYTES = 400


class WebhookBody(msgspec.Struct, frozen=True, kw_only=True):
    """The JSON that is posted. `id` and `event.id` are one; `sentence` has every language the evidence has.

    `cause` is what it looks like, by a rule or the classifier; null where neither tells.
    """

    id: str
    type: str
    decision: str
    suppressed: int
    subject: str
    sentence: dict[str, str]
    cause: Cause | None
    links: dict[str, str]
    event: Any


def body_of(notice: AnyNotice) -> bytes:
    """The bytes that are posted and signed: the same for the same notice."""
    return _refusal_body(notice) if isinstance(notice, RefusalNotice) else _anomaly_body(notice)


def _refusal_body(notice: RefusalNotice) -> bytes:
    event = notice.event
    return msgspec.json.encode(
        WebhookBody(
            id=event.id,
            type="model.refused",
            decision=notice.decision.reason,
            suppressed=0,
            subject=notice.subject,
            sentence=sentence(event),
            cause=None,
            links={"device": notice.url},
            event=event,
        )
    )


def _anomaly_body(notice: Notice) -> bytes:
    event = notice.event
    return msgspec.json.encode(
        WebhookBody(
            id=event.id,
            type=f"anomaly.{event.phase}",
            decision=notice.decision.reason,
            suppressed=notice.suppressed,
            subject=facts_of(notice).subject,
            sentence=event.evidence.sentence,
            cause=event.evidence.cause,
            links={"device": notice.links.device, "trace": notice.links.trace},
            event=event,
        )
    )


def signature(secret: str, at_s: int, body: bytes) -> str:
    """The value of `X-Ronda-Signature`."""
    digest = hmac.new(secret.encode(), f"{at_s}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at_s},v1={digest}"


class Webhook:
    """The webhook channel: one POST to one address."""

    name = "webhook"

    def __init__(
        self,
        url: str,
        secret: str,
        *,
        now_ms: Callable[[], int],
        timeout_s: float = 10.0,
        trust: ssl.SSLContext | None = None,
    ) -> None:
        if not secret:
            raise ValueError("a webhook without WEBHOOK_SECRET could be forged by anybody; set it")
        self._url = httpx.URL(url)
        self._secret = secret
        self._now_ms = now_ms
        self._timeout_s = timeout_s
        self._trust = trust

    async def send(self, notice: AnyNotice) -> Receipt:
        """POST the notice; the answer's status and first line are the receipt.

        Raises:
            TransientError: no connection, a time-out, HTTP 5xx, 408, 425 or 429.
            DeliveryError: any other answer than 2xx; a redirect too, since a signed message goes where it was sent.
        """
        try:
            async with asyncio.timeout(self._timeout_s):
                status, answer = await self._post(notice)
        except (httpx.UnsupportedProtocol, httpx.InvalidURL) as error:
            raise DeliveryError(f"WEBHOOK_URL cannot be posted to: {one_line(str(error))}") from error
        except (httpx.TransportError, TimeoutError) as error:
            raise TransientError(f"{self._where} is not there: {_said(error, self._timeout_s)}") from error
        return self._judged(status, answer)

    @property
    def _where(self) -> str:
        """The receiver's name alone: path and user may be secrets."""
        return f"webhook {self._url.host}:{self._url.port}" if self._url.port else f"webhook {self._url.host}"

    async def _post(self, notice: AnyNotice) -> tuple[int, str]:
        body = body_of(notice)
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "Ronda",
            "X-Ronda-Event-Id": notice.event.id,
            CORRELATION_HEADER: one_line(notice.correlation_id),
            "X-Ronda-Signature": signature(self._secret, self._now_ms() // 1000, body),
        }
        async with (
            httpx.AsyncClient(
                follow_redirects=False, trust_env=False, timeout=self._timeout_s, verify=self._trust or True
            ) as client,
            client.stream("POST", self._url, content=body, headers=headers) as response,
        ):
            return response.status_code, await _first_line(response)

    def _judged(self, status: int, answer: str) -> Receipt:
        if 200 <= status < 300:
            return Receipt(f"{status} {answer}".strip(), [self._url.host])
        said = f"{self._where} answered {status} {answer}".strip()
        if status >= 500 or status in _LATER:
            raise TransientError(said)
        raise DeliveryError(f"{said}; redirects are not followed" if 300 <= status < 400 else said)


async def _first_line(response: httpx.Response) -> str:
    read = b""
    async for chunk in response.aiter_bytes(_ANSWER_BYTES):
        read += chunk
        if len(read) >= _ANSWER_BYTES:
            break
    return one_line(read[:_ANSWER_BYTES].decode(errors="replace")) or response.reason_phrase


def _said(error: Exception, timeout_s: float) -> str:
    return one_line(str(error)) or f"no answer within {timeout_s:g} s"
