"""The watermark goes back to the devices that count by themselves: they free their rings when the cloud has stored."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from broker.bus import Bus
from contract.events import Watermark
from contract.topics import Channel, DeviceTopic

# As the store itself: more often would be traffic without a use.
_EVERY_S = 1.0


class Relay:
    """What is to be said on `stored` of the local broker; only the last word about each boot."""

    def __init__(self, site: str) -> None:
        self._site = site
        self._waiting: dict[tuple[str, str], Watermark] = {}
        self._changed = asyncio.Event()

    def tell(self, marks: Sequence[tuple[str, Watermark]]) -> None:
        """Say these soon. The one told last of a device is the one that stays retained."""
        for device, mark in marks:
            self._waiting.pop((device, mark.boot), None)
            self._waiting[device, mark.boot] = mark
        if marks:
            self._changed.set()

    async def run(self, bus: Bus) -> None:
        """Say it until cancelled. Raises: TransientError; what was not heard waits for the next connection."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            said = dict(self._waiting)
            await bus.publish(
                [(self._topic(device), _encoded(mark)) for (device, _), mark in said.items()], retain=True
            )
            self._waiting = {key: mark for key, mark in self._waiting.items() if said.get(key) != mark}
            await asyncio.sleep(_EVERY_S)

    def _topic(self, device: str) -> str:
        return str(DeviceTopic(self._site, device, Channel.STORED))


def _encoded(mark: Watermark) -> bytes:
    return msgspec.json.encode(mark)
