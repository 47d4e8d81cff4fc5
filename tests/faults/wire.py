"""A wire to a device in a network of its own: every packet is carried by us, as badly as we are told to.

`tc netem` needs a module that many kernels lack; two TUN devices and a network namespace do the same to packets.
Between its ends TCP is the kernel's own, so what is lost is sent again by it, and what overtakes is put in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import random
import struct
import subprocess
from types import TracebackType
from typing import NamedTuple, Self

from tests.faults.gear import TUN

# linux/if_tun.h: attach to a device that carries bare IP packets.
_TUNSETIFF, _IFF_TUN, _IFF_NO_PI = 0x400454CA, 0x0001, 0x1000
_LONGEST = 65_536
# An IPv4 header without options: what is flipped behind it, TCP's checksum tells.
_HEADER = 20
# 198.18.0.0/15 is for measurements between networks (RFC 2544) and leads nowhere.
_NETWORKS = 256


class Weather(NamedTuple):
    """What is done to each packet. `lost`, `doubled`, `flipped` are shares; what varies in its delay overtakes."""

    lost: float = 0.0
    doubled: float = 0.0
    flipped: float = 0.0
    delay_s: float = 0.002
    varies_s: float = 0.0


FAIR = Weather()


class Wire:
    """`async with` makes both ends; ours has the address `near`, the other one is in the namespace `name`."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        own = os.getpid()
        self.name = f"ronda-{own}"
        self.near, self._far = (f"198.18.{own % _NETWORKS}.{host}" for host in (1, 2))
        self._ends = (f"rf{own}n", f"rf{own}f")
        self._files: list[int] = []
        self.weather = FAIR
        self.packets = self.harmed = 0
        self._latest: dict[int, int] = {}

    async def __aenter__(self) -> Self:
        _ip("netns", "add", self.name)
        try:
            near, far = self._files = [_tun(name) for name in self._ends]
            self._set_up(*self._ends)
        except BaseException:
            self._remove()
            raise
        loop = asyncio.get_running_loop()
        loop.add_reader(near, self._carry, near, far)
        loop.add_reader(far, self._carry, far, near)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for file in self._files:
            asyncio.get_running_loop().remove_reader(file)
        self._remove()

    def _set_up(self, near: str, far: str) -> None:
        _ip("address", "add", f"{self.near}/30", "dev", near)
        _ip("link", "set", near, "up")
        _ip("link", "set", far, "netns", self.name)
        _ip("-n", self.name, "address", "add", f"{self._far}/30", "dev", far)
        _ip("-n", self.name, "link", "set", far, "up")

    def _remove(self) -> None:
        files, self._files = self._files, []
        for file in files:
            os.close(file)
        _ip("netns", "delete", self.name)

    def _carry(self, source: int, sink: int) -> None:
        with contextlib.suppress(BlockingIOError):
            while packet := os.read(source, _LONGEST):
                self.packets += 1
                self._send(packet, sink)

    def _send(self, packet: bytes, sink: int) -> None:
        arrives = arrivals(packet, self.weather, self._rng)
        self.harmed += [each for _, each in arrives] != [packet]
        for delay_s, each in arrives:
            asyncio.get_running_loop().call_later(delay_s, self._write, sink, each, self.packets)

    def _write(self, sink: int, packet: bytes, number: int) -> None:
        self.harmed += number < self._latest.get(sink, 0)
        self._latest[sink] = max(number, self._latest.get(sink, 0))
        # An end that is full, or closed by now, loses the packet, as a wire does.
        if sink in self._files:
            with contextlib.suppress(OSError):
                os.write(sink, packet)


def arrivals(packet: bytes, weather: Weather, rng: random.Random) -> list[tuple[float, bytes]]:
    """(after so many seconds, what comes out) for one packet that goes in."""
    if rng.random() < weather.lost:
        return []
    if rng.random() < weather.flipped:
        packet = _flipped(packet, rng)
    times = 2 if rng.random() < weather.doubled else 1
    return [(weather.delay_s + weather.varies_s * rng.random(), packet) for _ in range(times)]


def _flipped(packet: bytes, rng: random.Random) -> bytes:
    damaged = bytearray(packet)
    damaged[rng.randrange(min(_HEADER, len(packet) - 1), len(packet))] ^= 1 << rng.randrange(8)
    return bytes(damaged)


def _tun(name: str) -> int:
    file = os.open(TUN, os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(file, _TUNSETIFF, struct.pack("16sH", name.encode(), _IFF_TUN | _IFF_NO_PI))
    return file


def _ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)
