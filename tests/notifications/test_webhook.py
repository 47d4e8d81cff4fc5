"""The webhook against a real HTTP receiver: signed, never redirected, and clear about what is worth another try."""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import json
import socket
from collections import deque
from typing import Any, Self

import msgspec
import pytest

from cloud.notifications.channel import DeliveryError
from cloud.notifications.webhook import Webhook, body_of
from contract.errors import TransientError
from contract.events import AnomalyDetectedEvent, Cause
from tests.notifications.notices import BASE_URL, notice
from tests.support.anomalies import anomaly

SECRET = "a-shared-secret"
NOW_S = 1_763_398_500


class Receiver:
    """A small HTTP server that takes the next of `answers` for each request and remembers what came."""

    def __init__(self, *answers: bytes, keeps_open: bool = False) -> None:
        self._answers = deque(answers)
        self._keeps_open = keeps_open
        self._server: asyncio.Server | None = None
        self.requests: list[tuple[str, dict[str, str], bytes]] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.close()

    @property
    def url(self) -> str:
        assert self._server is not None
        return f"http://127.0.0.1:{self._server.sockets[0].getsockname()[1]}/hook?key=hidden"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in head[1:] if line)}
        body = await reader.readexactly(int(headers["content-length"]))
        self.requests.append((head[0], headers, body))
        writer.write(self._answers.popleft())
        await writer.drain()
        if not self._keeps_open:
            writer.close()


def answer(status: str, text: str = "", *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(text)}", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n" + text).encode()


def webhook(receiver: Receiver, **changes: Any) -> Webhook:
    return Webhook(receiver.url, SECRET, now_ms=lambda: NOW_S * 1000, **{"timeout_s": 5.0, **changes})


def genuine(header: str, body: bytes, secret: str, now_s: float) -> bool:
    """The verification as the documentation gives it to receivers."""
    fields = dict(part.split("=", 1) for part in header.split(","))
    expected = hmac.new(secret.encode(), fields["t"].encode() + b"." + body, hashlib.sha256).hexdigest()
    return hmac.compare_digest(expected, fields["v1"]) and abs(now_s - int(fields["t"])) <= 300


async def test_the_receivers_answer_is_the_receipt() -> None:
    async with Receiver(answer("202 Accepted", "queued as 17\nthank you")) as receiver:
        receipt = await webhook(receiver).send(notice())
    assert receipt.text == "202 queued as 17 thank you"
    assert list(receipt.recipients) == ["127.0.0.1"]


async def test_a_receiver_can_verify_who_sent_it_and_when() -> None:
    async with Receiver(answer("204 No Content")) as receiver:
        assert (await webhook(receiver).send(notice())).text == "204 No Content"
    request, headers, body = receiver.requests[0]
    signed = headers["x-ronda-signature"]
    assert request == "POST /hook?key=hidden HTTP/1.1"
    assert genuine(signed, body, SECRET, NOW_S)
    assert not genuine(signed, body + b" ", SECRET, NOW_S)
    assert not genuine(signed, body, "another secret", NOW_S)
    assert not genuine(signed, body, SECRET, NOW_S + 301)
    assert headers["x-ronda-event-id"] == notice().event.id
    assert headers["content-type"] == "application/json"


async def test_the_body_is_the_event_with_sentence_and_links() -> None:
    async with Receiver(answer("200 OK")) as receiver:
        await webhook(receiver).send(notice(suppressed=2))
    body = json.loads(receiver.requests[0][2])
    event = msgspec.json.decode(msgspec.json.encode(body["event"]), type=AnomalyDetectedEvent)
    assert event == anomaly()
    assert (body["type"], body["decision"], body["suppressed"]) == ("anomaly.raised", "first", 2)
    assert body["id"] == event.id
    assert body["sentence"] == event.evidence.sentence
    assert body["cause"] is None
    assert body["links"]["device"].startswith(f"{BASE_URL}/ui/device/plant-1/pump-07?anomaly=")
    assert body["links"]["trace"] == f"{BASE_URL}/api/v1/trace/plant-1.pump-07.9f2c41d07be3a655.88214"


def test_the_body_says_what_it_looks_like() -> None:
    looks = Cause(fault="overload", by="rule", candidates=["overload"], sentence={"en": "It looks like overload."})
    event = anomaly(evidence=msgspec.structs.replace(anomaly().evidence, cause=looks))
    body = json.loads(body_of(notice(event)))
    assert body["cause"] == body["event"]["evidence"]["cause"] == msgspec.to_builtins(looks)


def test_the_same_notice_is_the_same_body() -> None:
    assert body_of(notice()) == body_of(notice())


@pytest.mark.parametrize(
    "status", ["500 Internal Server Error", "503 Service Unavailable", "429 Too Many Requests", "408 Request Timeout"]
)
async def test_a_receiver_in_trouble_is_worth_another_try(status: str) -> None:
    async with Receiver(answer(status, "later"), answer("200 OK")) as receiver:
        channel = webhook(receiver)
        with pytest.raises(TransientError, match=f"answered {status[:3]} later"):
            await channel.send(notice())
        await channel.send(notice())
    assert receiver.requests[0][1]["x-ronda-event-id"] == receiver.requests[1][1]["x-ronda-event-id"]


@pytest.mark.parametrize("status", ["400 Bad Request", "401 Unauthorized", "404 Not Found", "410 Gone"])
async def test_a_refusal_is_for_good(status: str) -> None:
    async with Receiver(answer(status)) as receiver:
        with pytest.raises(DeliveryError, match=f"answered {status}"):
            await webhook(receiver).send(notice())


async def test_a_signed_message_is_not_carried_elsewhere() -> None:
    async with Receiver(answer("200 OK")) as elsewhere:
        async with Receiver(answer("307 Temporary Redirect", "", f"Location: {elsewhere.url}")) as receiver:
            with pytest.raises(DeliveryError, match="redirects are not followed"):
                await webhook(receiver).send(notice())
        assert elsewhere.requests == []


async def test_a_receiver_that_never_answers_is_given_up() -> None:
    async with Receiver(b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n12", keeps_open=True) as receiver:
        with pytest.raises(TransientError):
            await asyncio.wait_for(webhook(receiver, timeout_s=0.5).send(notice()), 10)


async def test_a_book_for_an_answer_is_not_read_to_its_end() -> None:
    async with Receiver(answer("200 OK", "x" * 1_000_000)) as receiver:
        receipt = await webhook(receiver).send(notice())
    assert receipt.text == "200 " + "x" * 400


async def test_nobody_listening_is_worth_another_try_and_no_secret_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    channel = Webhook(f"http://user:pass@127.0.0.1:{port}/hook/hidden", SECRET, now_ms=lambda: 0)
    with pytest.raises(TransientError, match=f"webhook 127.0.0.1:{port} is not there") as failed:
        await channel.send(notice())
    assert "hidden" not in str(failed.value)
    assert "pass" not in str(failed.value)


async def test_an_address_that_is_none_is_for_good() -> None:
    with pytest.raises(DeliveryError, match="WEBHOOK_URL"):
        await Webhook("ftp://plant.example/hook", SECRET, now_ms=lambda: 0).send(notice())


def test_without_a_secret_there_is_no_webhook() -> None:
    with pytest.raises(ValueError, match="WEBHOOK_SECRET"):
        Webhook("http://127.0.0.1/hook", "", now_ms=lambda: 0)
