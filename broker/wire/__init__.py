"""An MQTT 3.1.1 client of our own, for the agents: batches in, batches out, acknowledged late and in bulk.

`packets` and `decoder` turn bytes into packets and back, `session` knows what is in flight, `connection` is one TCP
connection from CONNECT to its loss, and `bus` keeps one up.
"""

from broker.wire.bus import WireBus

__all__ = ["WireBus"]
