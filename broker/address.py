"""Where the broker is and as whom to speak to it: `mqtt://user:password@host:port`."""

from __future__ import annotations

from pathlib import Path
from typing import Self
from urllib.parse import quote, unquote, urlsplit

import msgspec

from contract.errors import RondaError

# Registered with IANA: mqtt and secure-mqtt.
_PORTS = {"mqtt": 1883, "mqtts": 8883}


class AddressError(RondaError):
    """An address that no broker can have."""


class MqttAddress(msgspec.Struct, frozen=True, kw_only=True):
    """A broker's host and port, and the user that connects; `tls` for `mqtts`.

    `ca_file` (PEM): who must have signed the broker's certificate; None: an authority that the system trusts.
    """

    host: str
    port: int
    user: str | None = None
    password: str | None = None
    tls: bool = False
    ca_file: Path | None = None

    @classmethod
    def parse(cls, url: str) -> Self:
        """Read `mqtt://user:password@host:port` (percent-encoded) or `mqtts://…`. Raises: AddressError."""
        parts = urlsplit(url)
        try:
            port = parts.port or _PORTS[parts.scheme]
        except (KeyError, ValueError):
            raise _unreadable() from None
        if not parts.hostname or parts.path not in ("", "/") or parts.query or parts.fragment:
            raise _unreadable()
        return cls(
            host=parts.hostname,
            port=port,
            user=_decoded(parts.username),
            password=_decoded(parts.password),
            tls=parts.scheme == "mqtts",
        )

    def with_user(self, user: str, password: str) -> MqttAddress:
        """The same broker, spoken to as somebody else."""
        return msgspec.structs.replace(self, user=user, password=password)

    def trusting(self, ca_file: Path | None) -> MqttAddress:
        """The same broker, whose certificate this authority must have signed. Raises: AddressError without TLS."""
        if ca_file is not None and not self.tls:
            # Whoever names an authority believes that the connection is encrypted.
            raise AddressError(f"MQTT_CA_FILE is set, but {self} is not encrypted: write mqtts://, or leave it empty")
        return msgspec.structs.replace(self, ca_file=ca_file)

    def __str__(self) -> str:
        """The address without its password, fit for logs and messages."""
        scheme = "mqtts" if self.tls else "mqtt"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{scheme}://{quote(self.user, safe='') + '@' if self.user else ''}{host}:{self.port}"

    def url(self) -> str:
        """The whole address, password included: for handing to a child process, never for a log."""
        if self.user is None or self.password is None:
            return str(self)
        user = quote(self.user, safe="")
        return str(self).replace(f"//{user}@", f"//{user}:{quote(self.password, safe='')}@", 1)

    __repr__ = __str__


def _decoded(text: str | None) -> str | None:
    return unquote(text) if text else None


def _unreadable() -> AddressError:
    # Without the address itself: it may carry a password.
    return AddressError("the broker's address must look like mqtt://user:password@host:1883, or mqtts:// for TLS")
