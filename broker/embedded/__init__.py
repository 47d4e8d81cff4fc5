"""The embedded broker: amqtt's protocol, our delivery."""

from __future__ import annotations

from broker.embedded.broker import EMBEDDED, EmbeddedBroker, EmbeddedBrokerError
from broker.embedded.exchange import Limits, QueueSpec

__all__ = ["EMBEDDED", "EmbeddedBroker", "EmbeddedBrokerError", "Limits", "QueueSpec"]
