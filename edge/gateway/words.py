"""What is said to the cloud beside readings: how the devices are, and how the gateway is. Retained, and said again."""

from __future__ import annotations

import asyncio

from broker.bus import Bus
from contract.errors import TransientError
from contract.topics import DeviceTopic

# Says it again to a broker that lost what it kept.
_AGAIN_S = 60.0


class Statuses:
    """The last word of each device about itself."""

    def __init__(self, site: str, own_name: str) -> None:
        self._site, self._own_name = site, own_name
        self._last: dict[str, bytes] = {}
        self._waiting: dict[str, bytes] = {}
        self._changed = asyncio.Event()

    def heard(self, topic: DeviceTopic, payload: bytes) -> None:
        """A device said how it is. Another site's is none of ours, and nobody speaks for the gateway."""
        if topic.site == self._site and topic.device != self._own_name:
            self._last[str(topic)] = self._waiting[str(topic)] = payload
            self._changed.set()

    async def run(self, bus: Bus) -> None:
        """Pass the words on until cancelled."""
        while True:
            self._waiting |= self._last
            again = asyncio.get_running_loop().time() + _AGAIN_S
            while asyncio.get_running_loop().time() < again:
                await self._say(bus)
                try:
                    async with asyncio.timeout_at(again):
                        await self._changed.wait()
                except TimeoutError:
                    break

    async def _say(self, bus: Bus) -> None:
        self._changed.clear()
        said, self._waiting = self._waiting, {}
        if not said:
            return
        try:
            await bus.publish(list(said.items()), retain=True)
        except TransientError:
            self._waiting = said | self._waiting
            raise
