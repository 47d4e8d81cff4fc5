"""Break a bus's connection as a pulled cable does: without a good-bye."""

from __future__ import annotations

import socket

from broker.mqtt import MqttBus
from broker.wire import WireBus


def vanish(bus: MqttBus | WireBus) -> None:
    """The connection is gone from one moment to the next."""
    assert bus._connection is not None
    if isinstance(bus, WireBus):
        bus._connection._transport.abort()
        return
    sock = bus._connection._paho.socket()
    assert isinstance(sock, socket.socket)
    sock.shutdown(socket.SHUT_RDWR)
