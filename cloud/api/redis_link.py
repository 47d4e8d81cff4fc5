"""The Redis that several API processes share, and what this process does while it is away: not wait for it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self, TypeVar
from urllib.parse import urlsplit

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError

from contract.errors import TransientError

log = logging.getLogger("ronda.api.redis")

T = TypeVar("T")

# A Redis in the same network answers in well under a millisecond; one that takes longer than this hangs.
ANSWERS_WITHIN_S = 0.5
# One request in this time tries again; a Redis that restarts is back within a second or two.
TRY_AGAIN_S = 2.0
# One connection carries some 10,000 calls a second; more only wait for each other when Redis hangs.
_CONNECTIONS = 16
# `ronda check` asks once, perhaps across the world and through TLS.
_PING_WITHIN_S = 5.0


class RedisAwayError(TransientError):
    """Redis did not answer, or not in time; the text says where it was looked for, without its password."""


class RedisLink:
    """Connections to Redis, made when needed. Every call ends within a bounded time.

    `url`: `redis://`, or `rediss://` for TLS, where `?ssl_ca_certs=FILE` names a private authority; a password stands
    in it as usual. `told` hears when Redis goes (True) and comes back (False).
    """

    def __init__(
        self,
        url: str,
        *,
        told: Callable[[bool], None] = lambda _: None,
        now_s: Callable[[], float] = time.monotonic,
        within_s: float = ANSWERS_WITHIN_S,
    ) -> None:
        self._where = _where(url)
        self._told = told
        self._now_s = now_s
        self._within_s = within_s
        self._away = False
        self._next_try_s = 0.0
        self.pool = BlockingConnectionPool.from_url(
            url,
            max_connections=_CONNECTIONS,
            timeout=within_s,
            socket_timeout=within_s,
            socket_connect_timeout=within_s,
            # Once and at once: connections that a restart has cut look whole until they are used.
            retry=Retry(NoBackoff(), 1),
            # Nothing of the newer protocol is needed, and it would add a round trip to each connection.
            protocol=2,
        )
        self.client = Redis(connection_pool=self.pool)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.pool.disconnect()

    async def ask(self, call: Callable[[], Awaitable[T]]) -> T:
        """What `call` gets from Redis. Raises: RedisAwayError; at once, while it is known to be away."""
        if self._away:
            if self._now_s() < self._next_try_s:
                raise RedisAwayError(f"{self._where} does not answer")
            # This call tries; the others do not wait with it.
            self._next_try_s = self._now_s() + TRY_AGAIN_S
        try:
            async with asyncio.timeout(self._within_s):
                found = await call()
        except (RedisError, OSError, TimeoutError) as error:
            self._lost(error)
            raise RedisAwayError(f"{self._where} does not answer: {_plain(error)}") from error
        self._found()
        return found

    async def ping(self) -> None:
        """Raises: RedisAwayError when it does not answer, or refuses our password."""
        await self.ask(self._ping)

    async def _ping(self) -> None:
        # `ping` of the client is typed for both of its kinds, the blocking one included.
        await self.client.execute_command("PING")  # type: ignore[no-untyped-call]  # untyped there

    def _lost(self, error: Exception) -> None:
        self._next_try_s = self._now_s() + TRY_AGAIN_S
        if not self._away:
            self._away = True
            self._told(True)
            log.warning("redis.away", extra={"agent": "api", "redis": self._where, "detail": _plain(error)})

    def _found(self) -> None:
        if self._away:
            self._away = False
            self._told(False)
            log.warning("redis.back", extra={"agent": "api", "redis": self._where})


async def ping(url: str) -> None:
    """For `ronda check`. Raises: RedisAwayError saying why it does not answer; ValueError for no address of a Redis."""
    async with RedisLink(url, within_s=_PING_WITHIN_S) as link:
        await link.ping()


def _where(url: str) -> str:
    """The address without the password."""
    parts = urlsplit(url)
    return f"Redis at {parts.hostname}:{parts.port or 6379}" if parts.hostname else f"Redis at {parts.path}"


def _plain(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:200] if str(error) else type(error).__name__
