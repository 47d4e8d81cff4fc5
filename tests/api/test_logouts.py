"""What was ended elsewhere is learned of, whatever happened before."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping

import pytest

from cloud.api.auth import InvalidTokenError, Tokens
from cloud.api.logouts import Logouts
from tests.api.conftest import SECRET

NOW_S = time.time()


class Stumbling:
    """A store that answers nonsense once, and then knows of one token that was ended elsewhere."""

    def __init__(self, ended: str) -> None:
        self._ended = ended
        self.asked = 0

    async def add(self, token_id: str, *, expires_at_ms: int, now_ms: int) -> None:
        """Nobody logs out here."""

    async def forget(self, *, now_ms: int) -> int:
        return 0

    async def since(self, ended_at_ms: int, *, now_ms: int) -> Mapping[str, int]:
        self.asked += 1
        if self.asked == 2:
            raise LookupError("an answer that nobody understands")
        return {} if self.asked == 1 else {self._ended: int((NOW_S + 3600) * 1000)}


async def test_a_failure_that_nobody_thought_of_does_not_end_the_watch() -> None:
    tokens = Tokens(SECRET, lambda: NOW_S)
    token = tokens.mint("ana", ["data:read"])
    store = Stumbling(tokens.verify(token).token_id or "")
    async with Logouts(tokens, store, lambda: NOW_S * 1000, every_s=0.001), asyncio.timeout(5):
        while store.asked < 4:
            await asyncio.sleep(0.001)
    with pytest.raises(InvalidTokenError, match="logged out"):
        tokens.verify(token)
