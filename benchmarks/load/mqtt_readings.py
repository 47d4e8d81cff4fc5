"""Load on the broker and the chain: every user is a device with its own MQTT connection and credentials.

Two rows of figures: `publish` is the time to the broker's acknowledgement (QoS 1), `stored` the time until the
watermark says that the store has the reading. How to run it stands in README.md beside it.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import paho.mqtt.client as mqtt
from load import BATCH, RATE, Source, accounts, count, wait_until
from locust import User, constant_throughput, events, task
from locust.env import Environment
from locust.exception import StopUser
from paho.mqtt.enums import CallbackAPIVersion

from broker.tls import client_context
from contract.topics import Channel, DeviceTopic

PORTS = {"mqtt": 1883, "mqtts": 8883}
# The authority of a broker at mqtts://; None: those that the system trusts.
CA_FILE = Path(os.environ["MQTT_CA_FILE"]) if os.environ.get("MQTT_CA_FILE") else None
CONNECT_S = 10.0
# At the end: for the last acknowledgements, and for the watermark, which comes about once a second.
SETTLE_S = 8.0


class MqttDevice(User):
    """A device that speaks MQTT and forgets a reading when the store has it."""

    wait_time = constant_throughput(RATE / BATCH)

    def on_start(self) -> None:
        """Connect and listen to the watermark."""
        self.account, self.source = accounts.take(), Source()
        self.unacknowledged: dict[int, tuple[float, int]] = {}
        self.unstored: dict[int, float] = {}
        self.subscribed = False
        self.client = self._client()
        if not wait_until(lambda: self.subscribed, CONNECT_S):
            self._report("connect", CONNECT_S, 0, "not connected in time")
            raise StopUser

    @task
    def send(self) -> None:
        """Publish the next readings; acknowledgement and watermark are told by callbacks."""
        message, now = self.source.message(), time.perf_counter()
        seqs = [row["seq"] for row in message.get("readings", [message])]
        payload = json.dumps(message).encode()
        self.unstored.update(dict.fromkeys(seqs, now))
        sent = self.client.publish(self._topic(Channel.TELEMETRY), payload, qos=1)
        if sent.rc == mqtt.MQTT_ERR_SUCCESS:
            self.unacknowledged[sent.mid] = (now, len(payload))
        else:
            self._report("publish", 0.0, len(payload), mqtt.error_string(sent.rc))

    def on_stop(self) -> None:
        """Wait for what is under way; what does not come is an error."""
        if not self.subscribed:
            return
        wait_until(lambda: not self.unacknowledged and not self.unstored, SETTLE_S)
        for begun, size in self.unacknowledged.values():
            self._report("publish", time.perf_counter() - begun, size, "not acknowledged")
        for begun in self.unstored.values():
            self._report("stored", time.perf_counter() - begun, 0, "not stored in time")
        self.client.disconnect()
        self.client.loop_stop()

    def _client(self) -> mqtt.Client:
        address = urlsplit(self.host or "")
        if address.scheme not in PORTS or not address.hostname:
            raise SystemExit("--host must look like mqtt://127.0.0.1:1883, or mqtts:// for TLS")
        client = mqtt.Client(CallbackAPIVersion.VERSION2, client_id=self.account["username"])
        client.username_pw_set(self.account["username"], self.account["password"])
        client.max_inflight_messages_set(0)
        client.on_connect, client.on_subscribe = self._connected, self._subscribed
        client.on_publish, client.on_message, client.on_disconnect = self._acknowledged, self._stored, self._gone
        if address.scheme == "mqtts":
            client.tls_set_context(client_context(CA_FILE))
        client.connect(address.hostname, address.port or PORTS[address.scheme])
        client.loop_start()
        return client

    def _connected(self, client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._report("connect", 0.0, 0, str(reason))
            return
        client.subscribe(self._topic(Channel.STORED), qos=1)

    def _subscribed(self, *_: Any) -> None:
        self.subscribed = True

    def _gone(self, _client: mqtt.Client, _data: Any, _flags: Any, reason: Any, _properties: Any) -> None:
        if reason.is_failure:
            self._report("connect", 0.0, 0, f"connection lost: {reason}")

    def _acknowledged(self, _client: mqtt.Client, _data: Any, packet_id: int, *_: Any) -> None:
        # The broker may answer before `publish` has returned its packet id to the sender.
        wait_until(lambda: packet_id in self.unacknowledged, 1.0)
        begun, size = self.unacknowledged.pop(packet_id)
        count.add(self.account, self.source.boot, BATCH)
        self._report("publish", time.perf_counter() - begun, size)

    def _stored(self, _client: mqtt.Client, _data: Any, message: mqtt.MQTTMessage) -> None:
        watermark = json.loads(message.payload)
        if watermark["boot"] != self.source.boot:
            return
        now = time.perf_counter()
        for seq in [seq for seq in self.unstored if seq <= watermark["through"]]:
            self._report("stored", now - self.unstored.pop(seq), 0)

    def _report(self, name: str, seconds: float, size: int, error: str | None = None) -> None:
        self.environment.events.request.fire(
            request_type="MQTT",
            name=name,
            response_time=seconds * 1000,
            response_length=size,
            exception=RuntimeError(error) if error else None,
            context={},
        )

    def _topic(self, channel: Channel) -> str:
        return str(DeviceTopic(self.account["site"], self.account["device"], channel))


@events.quitting.add_listener
def _write(environment: Environment, **_: object) -> None:
    count.write("mqtt", environment)
