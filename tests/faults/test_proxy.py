"""The bad network does what its faults say."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator

import pytest

from tests.faults.proxy import Proxy


@pytest.fixture
async def echo() -> AsyncIterator[Proxy]:
    """A proxy in front of a server that says everything again."""

    async def again(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while data := await reader.read(1000):
            writer.write(data)
        writer.close()

    server = await asyncio.start_server(again, "127.0.0.1", 0)
    async with server, Proxy(server.sockets[0].getsockname()[1], random.Random(1)) as proxy:
        yield proxy


async def asked(proxy: Proxy, within_s: float = 2.0) -> bytes:
    """What a new connection hears."""
    reader, writer = await asyncio.open_connection("127.0.0.1", proxy.port)
    try:
        writer.write(b"hello")
        return await asyncio.wait_for(reader.read(100), within_s)
    finally:
        writer.close()


async def test_it_carries_both_ways(echo: Proxy) -> None:
    assert await asked(echo) == b"hello"


async def test_refused_is_refused_until_healed(echo: Proxy) -> None:
    echo.refuse()
    with pytest.raises((ConnectionError, AssertionError)):
        assert await asked(echo)
    echo.heal()
    assert await asked(echo) == b"hello"


async def test_half_open_hears_nothing_until_healed(echo: Proxy) -> None:
    echo.stall()
    with pytest.raises(TimeoutError):
        await asked(echo, 0.2)
    echo.heal()
    assert await asked(echo) == b"hello"


async def test_the_forgotten_stay_forgotten_and_others_pass(echo: Proxy) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    writer.write(b"first")
    assert await asyncio.wait_for(reader.read(100), 2) == b"first"
    assert echo.forget() == 1
    echo.heal()
    writer.write(b"second")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(100), 0.2)
    assert await asked(echo) == b"hello"
    writer.close()


async def test_breaking_breaks_in_the_middle(echo: Proxy) -> None:
    echo.lose(1)
    reader, writer = await asyncio.open_connection("127.0.0.1", echo.port)
    writer.write(b"x" * 1000)
    with pytest.raises((ConnectionError, asyncio.IncompleteReadError)):
        await asyncio.wait_for(reader.readexactly(1000), 2)
    writer.close()
