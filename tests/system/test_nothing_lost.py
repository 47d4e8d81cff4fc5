"""kill -9 of the hub under load: what was sent is stored, once, by SQL."""

from __future__ import annotations

import asyncio
import contextlib
import json
import secrets
import time

import pytest

from broker.address import MqttAddress
from broker.mqtt import MqttBus
from contract.errors import TransientError
from contract.telemetry import encode
from contract.topics import Channel, DeviceTopic
from tests.support.installation import Ronda, until
from tests.system.conftest import Make

KILLS = 3
# Under load, and slow enough that the store keeps up on a machine that runs other tests beside this one.
BURST, PAUSE_S = 50, 0.05


class Sender:
    """A plain device: one reading a message, QoS 1; what the broker has not acknowledged is sent again."""

    def __init__(self, ronda: Ronda, username: str, password: str) -> None:
        self.boot, self.sent = secrets.token_hex(8), 0
        site, device = username.split("/")
        self._topic = str(DeviceTopic(site, device, Channel.TELEMETRY))
        self._address = MqttAddress(host="127.0.0.1", port=ronda.mqtt_port).with_user(username, password)

    async def run(self, stop: asyncio.Event) -> None:
        now_ms = int(time.time() * 1000)
        async with MqttBus(self._address, "load", persistent=False) as bus:
            while not stop.is_set():
                burst = range(self.sent, self.sent + BURST)
                rows = [(self._topic, encode(self.boot, [(seq, now_ms + seq, {"a": float(seq)})])) for seq in burst]
                with contextlib.suppress(TransientError):
                    await bus.publish(rows)
                    self.sent += BURST
                await asyncio.sleep(PAUSE_S)


@pytest.mark.parametrize("broker", ["embedded", "mosquitto"])
def test_killing_the_hub_under_load_loses_and_doubles_nothing(make_ronda: Make, broker: str) -> None:
    ronda = make_ronda("--devices", "1", "--broker", broker).start()
    ronda.until_ready()
    added = json.loads(ronda.run("device", "add", "plant-1/load", "--json", "--data", str(ronda.data)))
    sender = Sender(ronda, added["username"], added["password"])

    async def load_and_kill() -> None:
        stop = asyncio.Event()
        sending = asyncio.create_task(sender.run(stop))
        for _ in range(KILLS):
            await asyncio.sleep(0.7)
            ronda.kill("hub")
            await asyncio.sleep(2.5)
        stop.set()
        await sending

    asyncio.run(load_and_kill())
    sent = sender.sent
    assert sent > KILLS * BURST
    query = f"SELECT count(*), count(DISTINCT seq), min(seq), max(seq) FROM readings WHERE boot = '{sender.boot}'"
    until(lambda: True if ronda.sql(query)[0][0] >= sent else None, lambda: f"{sent} stored: {ronda.sql(query)}", 60)
    assert ronda.sql(query) == [(sent, sent, 0, sent - 1)]
    account = next(row for row in ronda.get("/api/v1/ledger")["items"] if row["device"] == "load")
    assert (account["sent"], account["stored"], account["lost"]) == (sent, sent, 0)
    # The emulated pump kept what was not stored, and sent it again.
    pump = until(lambda: _settled(ronda), "the pump's readings to be stored")
    assert pump["lost"] == 0


def _settled(ronda: Ronda) -> dict[str, int] | None:
    account = next(row for row in ronda.get("/api/v1/ledger")["items"] if row["device"] == "pump-01")
    return account if account["pending"] <= 2 else None
