"""The wire does to packets what its weather says, and TCP at its ends mends it."""

from __future__ import annotations

import asyncio
import random
import sys

from tests.faults.gear import obstacles
from tests.faults.wire import FAIR, Weather, Wire, arrivals

PACKET = bytes(range(60))
# At the far end: say so many bytes to the address, and what came back.
_TALKS = """
import socket, sys
with socket.create_connection((sys.argv[1], int(sys.argv[2])), 30) as line:
    line.settimeout(30)
    line.sendall(bytes(200_000))
    line.shutdown(socket.SHUT_WR)
    print(sum(len(part) for part in iter(lambda: line.recv(9999), b"")))
"""


def after(weather: Weather, packets: int = 1000) -> list[list[tuple[float, bytes]]]:
    rng = random.Random(3)
    return [arrivals(PACKET, weather, rng) for _ in range(packets)]


def test_in_fair_weather_each_packet_comes_once_in_its_order() -> None:
    assert {tuple(each) for each in after(FAIR)} == {((FAIR.delay_s, PACKET),)}


def test_so_many_are_lost_or_doubled() -> None:
    found = [len(each) for each in after(Weather(lost=0.2, doubled=0.25))]
    assert 150 < found.count(0) < 250
    assert 150 < found.count(2) < 250


def test_one_bit_behind_the_header_is_flipped() -> None:
    [(_, packet)] = after(Weather(flipped=1.0), 1)[0]
    changed = [number for number in range(len(PACKET)) if packet[number] != PACKET[number]]
    assert len(changed) == 1
    assert changed[0] >= 20
    assert (packet[changed[0]] ^ PACKET[changed[0]]).bit_count() == 1


def test_a_delay_that_varies_lets_packets_overtake() -> None:
    delays = [delay_s for [(delay_s, _)] in after(Weather(delay_s=0.1, varies_s=0.3))]
    assert min(delays) < 0.11
    assert max(delays) > 0.39


async def test_what_is_said_over_a_bad_wire_arrives_whole_or_the_machine_says_why_it_has_none() -> None:
    if (why := obstacles().get("wire")) is not None:
        assert why
        return
    async with Wire(random.Random(1)) as wire:
        wire.weather = Weather(lost=0.05, doubled=0.1, flipped=0.02, varies_s=0.01)
        server = await asyncio.start_server(_again, wire.near, 0)
        async with server, asyncio.timeout(60):
            process = await asyncio.create_subprocess_exec(
                "ip", "netns", "exec", wire.name,
                sys.executable, "-c", _TALKS, wire.near, str(server.sockets[0].getsockname()[1]),
                stdout=asyncio.subprocess.PIPE,
            )  # fmt: skip
            said, _ = await process.communicate()
    assert int(said) == 200_000
    assert wire.harmed > 0


async def _again(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(9999):
        writer.write(data)
    writer.close()
