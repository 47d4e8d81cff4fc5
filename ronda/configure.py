"""`ronda device configure`: the owner's word to a device, retained until it hears it, and the device's answer."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from broker.mqtt import MqttBus
from contract.errors import RondaError
from contract.names import split_address
from contract.topics import Channel, DeviceTopic
from ronda.parts import Surroundings

# A device that is connected answers in a fraction of this.
_ANSWER_WITHIN_S = 10.0


class ConfigureError(RondaError):
    """The device said no, or the settings cannot be read; the text says why."""


async def configure_device(data: Path, address: str, settings: Sequence[str]) -> None:
    """Publish the settings (`name=value`), wait for the device's report, print it. Raises: ConfigureError."""
    site, device = split_address(address)
    asked = secrets.token_hex(8)
    desired = {"id": asked} | parsed(settings)
    client_id = f"ronda-configure-{asked}"
    async with MqttBus(Surroundings("configure", data).mqtt("operator"), client_id, persistent=False) as bus:
        await bus.subscribe(str(DeviceTopic(site, device, Channel.CONFIG_REPORTED)))
        topic = str(DeviceTopic(site, device, Channel.CONFIG_DESIRED))
        await bus.publish([(topic, msgspec.json.encode(desired))], retain=True)
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_S):
                report = await _answer(bus, asked)
        except TimeoutError:
            print(f"{address} does not answer; it will be told when it connects")
            return
    if "refused" in report:
        raise ConfigureError(f"{address} refuses: {report['detail']} ({report['refused']})")
    print("  ".join(f"{name}={value}" for name, value in report["config"].items()))


def parsed(settings: Sequence[str]) -> dict[str, Any]:
    """`["reading_every_s=5"]` → `{"reading_every_s": 5}`. Raises: ConfigureError."""
    given: dict[str, Any] = {}
    for setting in settings:
        name, equals, value = setting.partition("=")
        try:
            given[name] = msgspec.json.decode(value)
        except msgspec.DecodeError as error:
            raise ConfigureError(f"{setting!r} is not NAME=VALUE with a number, such as reading_every_s=5") from error
        if not equals or name == "id":
            raise ConfigureError(f"{setting!r} is not NAME=VALUE, such as reading_every_s=5")
    return given


async def _answer(bus: MqttBus, asked: str) -> dict[str, Any]:
    """The report to this very question; the retained one of an earlier question is not it."""
    while True:
        messages = await bus.receive()
        await bus.acknowledge(messages)
        for message in messages:
            report = msgspec.json.decode(message.payload)
            if isinstance(report, dict) and report.get("id") == asked:
                return report
