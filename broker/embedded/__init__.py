"""The embedded broker: amqtt's protocol, our delivery."""

from __future__ import annotations

try:
    import amqtt  # noqa: F401  # asked for here, so that whoever lacks it hears which extra brings it
except ImportError as missing:
    raise ImportError("the embedded broker needs: pip install 'ronda[cloud]'") from missing

from broker.embedded.broker import EMBEDDED, EmbeddedBroker, EmbeddedBrokerError
from broker.embedded.clients import Limits, QueueSpec
from broker.embedded.report import counted

__all__ = ["EMBEDDED", "EmbeddedBroker", "EmbeddedBrokerError", "Limits", "QueueSpec", "counted"]
