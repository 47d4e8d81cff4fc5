"""Logging out for good: a copy of the token opens nothing any more, in no process and after no restart."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import Self

from cloud.api.auth import Tokens
from cloud.api.background import Background
from cloud.api.callers import Caller
from cloud.api.ports import EndedTokens
from contract.errors import RondaError

log = logging.getLogger("ronda.api.logouts")

# What another process ended is refused here after this at the latest.
EVERY_S = 5.0
# Asked for again each time: the other process's clock may be behind, and its row may be committed a moment later.
_OVERLAP_MS = 60_000


class Logouts(Background):
    """Tells the store which tokens were ended here, and the tokens which were ended elsewhere."""

    def __init__(
        self, tokens: Tokens, store: EndedTokens, clock_ms: Callable[[], float], every_s: float = EVERY_S
    ) -> None:
        self._tokens = tokens
        self._store = store
        self._clock_ms = clock_ms
        self._every_s = every_s
        self._seen_until_ms = 0

    async def __aenter__(self) -> Self:
        # Before the first request is answered, so that no restart brings a token back to life.
        await self._try()
        self._begin(self._watch(), "api-logouts")
        return self

    async def end(self, caller: Caller) -> None:
        """The owner logged out. Raises: TransientError when the store is away; here it is over all the same."""
        if caller.token_id is None or caller.expires_at_s is None:
            return
        self._tokens.end(caller.token_id, caller.expires_at_s)
        expires_at_ms = caller.expires_at_s * 1000
        await self._store.add(caller.token_id, expires_at_ms=expires_at_ms, now_ms=int(self._clock_ms()))

    async def look(self) -> None:
        """Learn what was ended elsewhere. Raises: RondaError when the store is away."""
        now_ms = int(self._clock_ms())
        if not self._seen_until_ms:
            await self._store.forget(now_ms=now_ms)
        ended = await self._store.since(self._seen_until_ms - _OVERLAP_MS, now_ms=now_ms)
        for token_id, expires_at_ms in ended.items():
            self._tokens.end(token_id, expires_at_ms // 1000)
        self._seen_until_ms = now_ms

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(self._every_s)
            try:
                await self._try()
            except Exception:
                # Without the next look, what is ended elsewhere would open doors here until its end.
                log.exception("logouts.not_understood", extra={"agent": "api"})

    async def _try(self) -> None:
        try:
            await self.look()
        except RondaError as error:
            log.warning("logouts.unknown", extra={"agent": "api", "detail": str(error)})
