"""A broker that does what a test tells it: greets or stays silent, answers or does not, sends any bytes."""

from __future__ import annotations

import asyncio
import contextlib
from types import TracebackType
from typing import Self

from broker.address import MqttAddress
from broker.embedded.packets import read_publish, split

CONNECT, PUBLISH, PUBACK, SUBSCRIBE, PINGREQ, DISCONNECT = 0x10, 0x30, 0x40, 0x80, 0xC0, 0xE0
PATIENCE_S = 20.0
_KIND = 0xF0


class Line:
    """One connection, as the broker sees it."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._buffer = bytearray()
        self._packets: list[tuple[int, bytes]] = []

    async def next(self, kind: int) -> tuple[int, bytes]:
        """The next packet, which must be of this kind: (first byte, body)."""
        first, body = await self.any()
        assert first & _KIND == kind, f"{first:#x} instead of {kind:#x}"
        return first, body

    async def any(self) -> tuple[int, bytes]:
        """The next packet, whatever it is: (first byte, body)."""
        async with asyncio.timeout(PATIENCE_S):
            while not self._packets:
                data = await self._reader.read(65_536)
                assert data, "the client hung up"
                self._buffer += data
                self._packets, size = split(self._buffer)
                del self._buffer[:size]
        return self._packets.pop(0)

    async def publishes(self, count: int) -> list[tuple[int, bytes, bool]]:
        """The next `count` messages: (packet id, payload, DUP)."""
        packets = [await self.next(PUBLISH) for _ in range(count)]
        messages = [(read_publish(first, body), bool(first & 0x08)) for first, body in packets]
        return [(message.packet_id, message.payload, dup) for message, dup in messages]

    def send(self, data: bytes) -> None:
        """Say these bytes, as long as anybody can hear them."""
        if not self._writer.is_closing():
            self._writer.write(data)

    def welcome(self, *, session_present: bool = False, code: int = 0) -> None:
        """Answer CONNECT."""
        self.send(bytes([0x20, 2, session_present, code]))

    def confirm(self, *packet_ids: int) -> None:
        """A PUBACK for each."""
        self.send(b"".join(b"\x40\x02" + each.to_bytes(2, "big") for each in packet_ids))

    async def grant(self, code: int = 1) -> list[str]:
        """Answer the next SUBSCRIBE, all its filters alike; returns them."""
        _, body = await self.next(SUBSCRIBE)
        filters, at = [], 2
        while at < len(body):
            length = int.from_bytes(body[at : at + 2], "big")
            filters.append(body[at + 2 : at + 2 + length].decode())
            at += 3 + length
        self.send(bytes([0x90, 2 + len(filters)]) + body[:2] + bytes([code] * len(filters)))
        return filters

    async def hung_up(self) -> None:
        """Wait until the client closes."""
        with contextlib.suppress(ConnectionError):
            async with asyncio.timeout(PATIENCE_S):
                while await self._reader.read(65_536):
                    pass

    def break_off(self) -> None:
        """Close without a word."""
        self._writer.transport.abort()


class ScriptedBroker:
    """Listens; every connection is a `Line` that the test takes."""

    def __init__(self) -> None:
        self._lines: asyncio.Queue[Line] = asyncio.Queue()
        self._writers: list[asyncio.StreamWriter] = []

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, limit=4096)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.close()
        for writer in self._writers:
            writer.transport.abort()

    @property
    def address(self) -> MqttAddress:
        """Where it listens."""
        return MqttAddress(host="127.0.0.1", port=self._server.sockets[0].getsockname()[1])

    async def line(self, *, session_present: bool | None = False) -> Line:
        """The next connection, its CONNECT read and answered; None: left to the test."""
        async with asyncio.timeout(PATIENCE_S):
            line = await self._lines.get()
        await line.next(CONNECT)
        if session_present is not None:
            line.welcome(session_present=session_present)
        return line

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.append(writer)
        self._lines.put_nowait(Line(reader, writer))
