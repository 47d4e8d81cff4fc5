"""What stops a gateway, or makes it wait."""

from __future__ import annotations

from contract.errors import RondaError, TransientError


class GatewayError(RondaError):
    """A mapping file or an outbox that cannot be used; the text says which line, and what to write there."""


class OutboxError(TransientError):
    """The outbox cannot be written at the moment: its disk is full, or gone."""
