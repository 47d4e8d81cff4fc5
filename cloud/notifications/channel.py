"""A way to reach people: it sends one notice, and says by itself whether trying again makes sense."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec

from cloud.notifications.refusal import AnyNotice
from contract.errors import RondaError


class DeliveryError(RondaError):
    """The other side refused this message for good (SMTP 5xx, HTTP 4xx); sending it again would not help."""


class Receipt(msgspec.Struct, frozen=True):
    """The other side's own word that it has the message, such as an SMTP server's 250 line, and who is told."""

    text: str
    recipients: Sequence[str]


class Channel(Protocol):
    """Mail, webhook and what may follow. `name` is a station of the trace."""

    @property
    def name(self) -> str: ...

    async def send(self, notice: AnyNotice) -> Receipt:
        """Hand the notice over and return the receipt.

        Raises:
            TransientError: worth retrying (no connection, time-out, SMTP 4xx, HTTP 5xx or 429).
            DeliveryError: refused for good.
        """
        ...
