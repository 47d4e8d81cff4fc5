"""The way out: sends what the ring holds, in order, and sends again what the store does not confirm."""

import asyncio
import json
import time

from lib.net import now_ms
from lib.serial import say

# Three kilobytes of JSON: an hour's backlog is gone in seconds, and the chip's memory hardly notices.
PER_MESSAGE = 16
# The watermark comes about once a second; ten times that without one, while readings are under way, means that
# something on the way died. Doubled up to five minutes while nothing moves, so as not to flood what is being repaired.
STALL_MS = 10000
MAX_STALL_MS = 300000


class Uplink:
    """The sending side of one device."""

    def __init__(self, ring, client, topic):
        self._ring, self._client, self._topic = ring, client, topic
        self._changed = asyncio.Event()
        self._stall_ms = STALL_MS
        self._moved_at = time.ticks_ms()

    def wake(self):
        """There is something new to send."""
        self._changed.set()

    def stored(self, payload):
        """Take the store's word."""
        try:
            mark = json.loads(payload)
            freed = self._ring.free(mark["boot"], mark["through"])
        except (ValueError, KeyError, TypeError):
            say("watermark.unreadable", payload[:80])
            return
        if freed:
            self._moved_at, self._stall_ms = time.ticks_ms(), STALL_MS
            say("readings.stored", "%d freed, through %d, %d held" % (freed, mark["through"], len(self._ring)))
        self.wake()

    async def run(self):
        """Send until the connection ends; what it had not confirmed goes again with the next one."""
        self._ring.send_again()
        while True:
            self._changed.clear()
            if not self._ring.under_way:
                self._moved_at = time.ticks_ms()
            batch = self._ring.take(PER_MESSAGE)
            if batch:
                await self._client.publish(self._topic, batch.message(now_ms()))
            else:
                await self._wait()

    async def _wait(self):
        left_ms = self._stall_ms - time.ticks_diff(time.ticks_ms(), self._moved_at)
        try:
            await asyncio.wait_for_ms(self._changed.wait(), max(1, left_ms))
        except asyncio.TimeoutError:
            if self._ring.under_way:
                say("readings.sent_again", "%d, not stored for %d s" % (len(self._ring), self._stall_ms // 1000))
                self._ring.send_again()
                self._stall_ms = min(2 * self._stall_ms, MAX_STALL_MS)
            self._moved_at = time.ticks_ms()
