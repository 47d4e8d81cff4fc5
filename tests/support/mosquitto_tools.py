"""Debian's `mosquitto_pub` and `mosquitto_sub`: clients that share no code with ours."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from broker.address import MqttAddress

_TIMEOUT_S = 30.0


async def publish_lines(address: MqttAddress, topic: str, lines: Sequence[str], *options: str) -> int:
    """Publish one message per line at QoS 1, in one burst; returns the exit code."""
    arguments = [*_login(address), "-q", "1", "-t", topic, "-l", *options]
    process = await asyncio.create_subprocess_exec(
        "mosquitto_pub", *arguments, stdin=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(_TIMEOUT_S):
        await process.communicate("".join(f"{line}\n" for line in lines).encode())
    assert process.returncode is not None
    return process.returncode


async def listen(address: MqttAddress, topic_filter: str, *options: str, seconds: int = 1) -> list[str]:
    """What a subscriber sees within `seconds`: one `topic payload` a line."""
    arguments = [*_login(address), "-q", "1", "-t", topic_filter, "-W", str(seconds), "-v", *options]
    process = await asyncio.create_subprocess_exec(
        "mosquitto_sub", *arguments, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.DEVNULL
    )
    async with asyncio.timeout(_TIMEOUT_S):
        output, _ = await process.communicate()
    return output.decode().splitlines()


def _login(address: MqttAddress) -> list[str]:
    who = ["-u", address.user, "-P", address.password] if address.user and address.password else []
    return ["-h", address.host, "-p", str(address.port), *who]
