"""Clients of `POST /ingest?wait=stored`: one that counts its readings, and one whose readings are what they say."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable

import httpx
import msgspec

from contract.identity import UNCOUNTED_BOOT
from tests.faults.senders import SITE, TICK_S, Sender

# A request that the store has not answered by then is sent again, as the API itself advises.
_ANSWER_WITHIN_S = 12.0
_AGAIN_S = 0.1
_MOST = 10


class HttpSender(Sender):
    """Sends the same again until it hears 201; only what was answered so counts as confirmed."""

    def __init__(
        self,
        device: str,
        rng: random.Random,
        url: str,
        token: Callable[[], str],
        log_in: Callable[[], Awaitable[None]],
        now_ms: Callable[[], int],
        *,
        counts: bool = True,
    ) -> None:
        """`counts`: with `boot` and `seq`; without, a reading is told from another by its time and values."""
        super().__init__(device, rng)
        self._url, self._token, self._log_in, self._now_ms = url, token, log_in, now_ms
        self._counts = counts
        self._boot = self._new_boot() if counts else UNCOUNTED_BOOT
        self._sent = self._confirmed = 0
        # Status → how often; 0: none came.
        self.answers = Counter[int]()

    @property
    def sent(self) -> dict[str, int]:
        return {self._boot: self._sent}

    @property
    def confirmed(self) -> dict[str, int]:
        return {self._boot: self._confirmed}

    async def run(self) -> None:
        """Send until stopped."""
        async with httpx.AsyncClient(base_url=self._url, timeout=_ANSWER_WITHIN_S) as client:
            while not self.stopped.is_set():
                readings = [self._reading(self._sent + step) for step in range(self._rng.randint(1, _MOST))]
                self._sent += len(readings)
                await self._post(client, self._message(readings))
                self._confirmed = self._sent
                await asyncio.sleep(TICK_S)

    def _message(self, readings: list[dict[str, object]]) -> bytes:
        boot = {"boot": self._boot} if self._counts else {}
        return msgspec.json.encode({"site": SITE, "device": self.device, "readings": readings} | boot)

    def _reading(self, number: int) -> dict[str, object]:
        seq = {"seq": number} if self._counts else {}
        return {"ts": self._now_ms(), "values": {"number": float(number)}} | seq

    async def _post(self, client: httpx.AsyncClient, body: bytes) -> None:
        """Until it is stored; there is no other end."""
        while True:
            headers = {"Authorization": f"Bearer {self._token()}", "Content-Type": "application/json"}
            try:
                answer = await client.post("/api/v1/ingest", params={"wait": "stored"}, content=body, headers=headers)
            except httpx.HTTPError:
                self.answers[0] += 1
                await asyncio.sleep(2 * _AGAIN_S)
                continue
            self.answers[answer.status_code] += 1
            if answer.status_code == httpx.codes.CREATED:
                return
            if answer.status_code == httpx.codes.CONFLICT:
                raise AssertionError(f"what was sent before is stored otherwise: {answer.text}")
            if answer.status_code == httpx.codes.UNAUTHORIZED:
                await self._log_in()
            await asyncio.sleep(_AGAIN_S)
