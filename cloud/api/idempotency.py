"""`Idempotency-Key`: a request that creates something is done once, however often it is sent.

After the draft-ietf-httpapi-idempotency-key-header-07. Asked for by who may not know whether the first attempt arrived:
with the same key and the same request the first answer is told again.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Awaitable, Callable
from typing import Annotated

import msgspec
from fastapi import Header, Request, Response

from cloud.api.callers import Caller
from cloud.api.kept import Kept
from cloud.api.problems import RETRY_AFTER_S, Problem, unavailable
from cloud.api.redis_link import RedisAwayError
from cloud.api.sealing import BrokenSealError, Seal

log = logging.getLogger("ronda.api.idempotency")

HEADER = "Idempotency-Key"
REPLAYED = "Idempotency-Replayed"
# A client that could not reach us tries again within minutes; a person looks the next morning.
KEPT_S = 24 * 3600
# Longer than any such request takes. A process that died in the middle blocks its key for so long, no longer.
IN_FLIGHT_S = 60
# What is being done now will be done in a moment.
_ASK_AGAIN_S = 1
_NOT_TOLD_AGAIN = frozenset({"content-length"})

Key = Annotated[
    str | None,
    Header(
        alias=HEADER,
        min_length=1,
        max_length=255,
        pattern=r"^[!-~]+$",
        description="A fresh random text of yours; the same request sent again with it is answered again, not done "
        f"again, for {KEPT_S // 3600} hours (header {REPLAYED}).",
    ),
]


class _Note(msgspec.Struct, array_like=True):
    """What is kept of a request: its digest, and once it is done the answer."""

    request: bytes
    status: int = 0
    headers: list[tuple[str, str]] = []
    body: bytes = b""


class Idempotency:
    """Does a request once per caller and key, and remembers the answer, sealed.

    Only success is remembered: what failed may be tried again with the same key. When the process dies in the middle,
    or Redis goes away before the answer is kept, the key is free again after `IN_FLIGHT_S`.
    """

    def __init__(self, kept: Kept, seal: Seal) -> None:
        self._kept = kept
        self._seal = seal

    async def once(
        self, request: Request, caller: Caller, key: str | None, body: bytes, do: Callable[[], Awaitable[Response]]
    ) -> Response:
        """The answer to this request: what `do` gives, or gave before. Without a key it is simply done.

        Raises: Problem 409 while it is being done, 422 when the key was used for another request, 503 when nobody
        can tell because Redis is away.
        """
        if key is None:
            return await do()
        name, asked = _name(caller, key), _digest(request, body)
        mine = self._closed(_Note(asked), name)
        there = await self._claim(name, mine)
        if there is not None:
            return self._again(self._opened(there, name), asked)
        try:
            response = await do()
        except Exception:
            await self._quietly(self._kept.release(name, mine))
            raise
        answered = _Note(asked, response.status_code, _headers(response), bytes(response.body))
        await self._quietly(self._kept.replace(name, mine, self._closed(answered, name), KEPT_S))
        return response

    async def _claim(self, name: str, mine: bytes) -> bytes | None:
        try:
            return await self._kept.claim(name, mine, IN_FLIGHT_S)
        except RedisAwayError as error:
            detail = "what was done under this key cannot be told, since Redis is away; nothing was done now: try again"
            raise unavailable("idempotency_unavailable", detail, RETRY_AFTER_S) from error

    def _again(self, note: _Note, asked: bytes) -> Response:
        if note.request != asked:
            detail = "this Idempotency-Key was used for another request; take a fresh one for each"
            raise Problem(422, "idempotency_key_reused", detail)
        if not note.status:
            detail = "the first request with this Idempotency-Key is still being done; ask again"
            raise Problem(409, "idempotency_in_flight", detail, headers={"Retry-After": str(_ASK_AGAIN_S)})
        return Response(note.body, note.status, {**dict(note.headers), REPLAYED: "true"})

    def _closed(self, note: _Note, name: str) -> bytes:
        return self._seal.close(msgspec.msgpack.encode(note), name)

    def _opened(self, sealed: bytes, name: str) -> _Note:
        """Raises: Problem 422 for an answer that was sealed under a secret of which we know nothing any more."""
        try:
            return msgspec.msgpack.decode(self._seal.open(sealed, name), type=_Note)
        except (BrokenSealError, msgspec.DecodeError) as error:
            detail = "this Idempotency-Key was used, and its answer can no longer be read; look what exists by now"
            raise Problem(422, "idempotency_key_reused", detail) from error

    async def _quietly(self, work: Awaitable[None]) -> None:
        """The request itself was answered; that its key could not be written is told to the log."""
        try:
            await work
        except RedisAwayError as error:
            log.warning("idempotency.not_kept", extra={"agent": "api", "detail": str(error)})


def _name(caller: Caller, key: str) -> str:
    """One caller's key is nothing to another. A digest, since neither belongs into a shared store."""
    return hashlib.sha256(f"{caller.subject}\0{key}".encode()).hexdigest()


def _digest(request: Request, body: bytes) -> bytes:
    asked = f"{request.method}\0{request.url.path}\0{request.url.query}\0".encode()
    return hashlib.sha256(asked + body).digest()


def _headers(response: Response) -> list[tuple[str, str]]:
    return [(name, value) for name, value in response.headers.items() if name not in _NOT_TOLD_AGAIN]
