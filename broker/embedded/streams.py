"""A connection's two directions, in the shape that amqtt asks for: whole packets in, bounded farewells out."""

from __future__ import annotations

import asyncio
import contextlib
import ssl

from amqtt.adapters import ReaderAdapter, WriterAdapter

from broker.embedded.packets import split

_CHUNK_BYTES = 64 * 1024
# A peer that reads no more must not hold up whoever closes its connection.
_CLOSE_TIMEOUT_S = 0.3


class PacketReader(ReaderAdapter):  # type: ignore[misc]  # amqtt publishes no types
    """Reads as much as has arrived at once and hands out whole packets."""

    def __init__(self, stream: asyncio.StreamReader) -> None:
        self._stream = stream
        self._buffer = bytearray()

    async def read(self, n: int = -1) -> bytes:
        """Exactly `n` bytes, fewer at the end: how amqtt reads the CONNECT."""
        while len(self._buffer) < n and await self._fill():
            pass
        taken = bytes(self._buffer[:n])
        del self._buffer[:n]
        return taken

    def feed_eof(self) -> None:
        """Pretend that the peer has said all."""
        self._stream.feed_eof()

    async def peek(self) -> tuple[int, bytes] | None:
        """The first packet, left where it is; None when the peer ends before it is whole. Raises: MalformedError."""
        while not (found := split(self._buffer)[0]):
            if not await self._fill():
                return None
        return found[0]

    async def packets(self) -> list[tuple[int, bytes]]:
        """Every whole packet that has arrived, at least one; none at the end. Raises: MalformedError."""
        while True:
            packets, used = split(self._buffer)
            if packets:
                del self._buffer[:used]
                return packets
            if not await self._fill():
                return []

    async def _fill(self) -> bool:
        try:
            chunk = await self._stream.read(_CHUNK_BYTES)
        except OSError:
            return False
        self._buffer += chunk
        return bool(chunk)


class PacketWriter(WriterAdapter):  # type: ignore[misc]  # amqtt publishes no types
    """Writes whole packets; closing takes a bounded time whatever the peer does."""

    def __init__(self, stream: asyncio.StreamWriter) -> None:
        self._stream = stream
        self._closed = False

    def write(self, data: bytes) -> None:
        """Add a packet to what is sent."""
        if not self._closed:
            self._stream.write(data)

    async def drain(self) -> None:
        """Wait until the peer has read enough of it. Raises: OSError when it is gone."""
        if not self._closed:
            await self._stream.drain()

    def get_peer_info(self) -> tuple[str, int] | None:
        """The peer's address and port."""
        peer = self._stream.get_extra_info("peername")
        return (peer[0], peer[1]) if peer else None

    def get_ssl_info(self) -> ssl.SSLObject | None:
        """The TLS side of the connection, when there is one."""
        found: ssl.SSLObject | None = self._stream.get_extra_info("ssl_object")
        return found

    def abort(self) -> None:
        """Drop the connection now; what was not sent yet is lost."""
        self._closed = True
        self._stream.transport.abort()

    async def close(self) -> None:
        """Send what is left and close; give up on a peer that does not read."""
        if self._closed:
            return
        self._closed = True
        self._stream.close()
        with contextlib.suppress(TimeoutError, OSError):
            async with asyncio.timeout(_CLOSE_TIMEOUT_S):
                await self._stream.wait_closed()
                return
        self._stream.transport.abort()
