"""A site beyond a gateway: a broker of its own and `ronda gateway`."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

import msgspec

from broker.address import MqttAddress
from broker.embedded import Limits
from broker.listeners import Listener
from broker.mosquitto import access_list, configuration
from broker.mqtt import MqttBus
from contract.topics import Channel, DeviceTopic
from tests.faults.field import READY_WITHIN_S, Broker, until_true
from tests.faults.ground import Ground
from tests.faults.outbox import OutboxFile
from tests.faults.processes import Process
from tests.faults.senders import SITE
from tests.support.broker_process import Setting
from tests.support.brokers import EVERYTHING, prepare_users
from tests.support.ports import free_port

GATEWAY, SITE_BROKER = "gateway", "site's broker"
# Of the outbox, in the plant's folder.
OUTBOX = "outbox"
_MAPPING = f"""\
site = "{SITE}"
[[source]]
topic = "ronda/v1/{SITE}/+/telemetry"
format = "ronda"
[[source]]
topic = "hall/{{device}}"
"""


class Site:
    """Its broker is of the same kind as the cloud's, and a process of its own. `devices` may come to it."""

    def __init__(self, folder: Path, kind: Broker, devices: Sequence[str]) -> None:
        self._folder, self._kind, self._port = folder, kind, free_port()
        self._credentials, self._passwords = prepare_users(folder, [EVERYTHING], [f"{SITE}/{name}" for name in devices])

    async def start(self, ground: Ground, cloud: MqttAddress, environment: dict[str, str]) -> None:
        """Start both, up to the gateway's word that it listens. `cloud`: the gateway's way out."""
        broker = Process(SITE_BROKER, [], os.environ, self._folder, self._program)
        await ground.begin(broker, of_ronda=False)
        await until_true(self._listens, "the site's broker listens")
        # Between the gateway and its site's broker.
        self.line = await ground.line(self._port)
        mapping, data = ground.folder / "gateway.toml", ground.folder / OUTBOX
        mapping.write_text(_MAPPING)
        self.outbox = OutboxFile(data / "outbox.sqlite")
        inner = {"GATEWAY_LOCAL_URL": self.address(port=self.line.port).url(), "MQTT_URL": cloud.url()}
        arguments = [GATEWAY, str(mapping), "--data", str(data)]
        await ground.begin(Process(GATEWAY, arguments, environment | inner, ground.folder / GATEWAY))
        async with asyncio.timeout(READY_WITHIN_S):
            # What is said before its first subscription is said to nobody.
            await self.gateway_says('"online"')

    def address(self, user: str = EVERYTHING.name, port: int = 0) -> MqttAddress:
        """For that user; at another port where somebody stands between."""
        there = MqttAddress(host="127.0.0.1", port=port or self._port)
        return there.with_user(user, self._passwords[user])

    async def gateway_says(self, words: str) -> None:
        """Wait until its status has these, as the site's broker tells it."""
        async with MqttBus(self.address(), "faults-usher", persistent=False) as bus:
            await bus.subscribe(str(DeviceTopic(SITE, GATEWAY, Channel.STATUS)))
            while not any(words.encode() in message.payload for message in await bus.receive()):
                pass

    @property
    def _program(self) -> list[str]:
        if self._kind == "mosquitto":
            return ["mosquitto", "-c", str(self._configured())]
        setting = Setting(str(self._folder), self._port, [EVERYTHING], {}, Limits())
        return [sys.executable, "-m", "tests.support.broker_process", msgspec.json.encode(setting).decode()]

    def _configured(self) -> Path:
        acl, config = self._folder / "acl", self._folder / "mosquitto.conf"
        acl.write_text(access_list([EVERYTHING], self._credentials.users()))
        user = "root" if os.geteuid() == 0 else None
        listeners = [Listener("127.0.0.1", self._port)]
        config.write_text(configuration(self._folder, listeners, passwd=self._credentials.path, acl=acl, user=user))
        return config

    async def _listens(self) -> bool:
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", self._port)
        except OSError:
            return False
        writer.close()
        return True
