"""A device of the proof: it knows MQTT with TLS, its password, and to keep a reading until the store has it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time

from broker.address import MqttAddress
from broker.bus import Message
from broker.mqtt import MqttBus
from contract.errors import TransientError
from contract.topics import Channel, DeviceTopic

# A reading that the store has not confirmed by then is sent again, as our firmware does after a reconnect.
_AGAIN_S = 6.0
_MOST_AT_ONCE = 200


class Device:
    """Measures from `start` until `finish`, and holds what is not stored."""

    def __init__(self, address: MqttAddress, site: str, name: str, every_s: float) -> None:
        self.site, self.name, self.boot = site, name, secrets.token_hex(8)
        self.measured = 0
        self.sent_again = 0
        self._address, self._every_s = address, every_s
        self._held: dict[int, bytes] = {}
        self._sent_at: dict[int, float] = {}
        self._measuring = True
        self._tasks: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Connect and begin."""
        self._bus = MqttBus(self._address, f"{self.site}/{self.name}", persistent=False)
        await self._bus.__aenter__()
        await self._bus.subscribe(self._topic(Channel.STORED))
        self._tasks = [asyncio.create_task(work()) for work in (self._measure, self._send, self._listen)]

    async def finish(self, timeout_s: float) -> int:
        """Measure no more, wait until all is stored, and return how many readings never were."""
        self._measuring = False
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                while self._held:
                    await asyncio.sleep(0.1)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._bus.__aexit__(None, None, None)
        return len(self._held)

    async def _measure(self) -> None:
        while self._measuring:
            values = {"vibration_rms_g": 0.2 + self.measured % 7 / 100, "temperature_c": 40 + self.measured % 5 / 10}
            body = {"boot": self.boot, "seq": self.measured, "ts": time.time_ns() // 1_000_000, "values": values}
            self._held[self.measured] = json.dumps(body).encode()
            self.measured += 1
            await asyncio.sleep(self._every_s)

    async def _send(self) -> None:
        """What was never sent, and what was not confirmed in time."""
        while True:
            now = time.monotonic()
            due = [seq for seq in self._held if now - self._sent_at.get(seq, 0.0) > _AGAIN_S][:_MOST_AT_ONCE]
            self.sent_again += sum(seq in self._sent_at for seq in due)
            if due:
                # A broker that is away for longer than the bus waits: the readings are held, so they go out later.
                with contextlib.suppress(TransientError):
                    await self._bus.publish([(self._topic(Channel.TELEMETRY), self._held[seq]) for seq in due])
                self._sent_at |= dict.fromkeys(due, time.monotonic())
            await asyncio.sleep(0.05)

    async def _listen(self) -> None:
        while True:
            messages = await self._bus.receive()
            for message in messages:
                self._free(message)
            await self._bus.acknowledge(messages)

    def _free(self, message: Message) -> None:
        said = json.loads(message.payload)
        if said["boot"] == self.boot:
            for seq in [seq for seq in self._held if seq <= said["through"]]:
                del self._held[seq]

    def _topic(self, channel: Channel) -> str:
        return str(DeviceTopic(self.site, self.name, channel))
