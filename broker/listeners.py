"""Where a broker listens, and with which certificate."""

from __future__ import annotations

from ipaddress import ip_address
from pathlib import Path

import msgspec

_EVERY = ("0.0.0.0", "::")  # noqa: S104  # compared with, not bound to


class TlsFiles(msgspec.Struct, frozen=True):
    """A server's certificate (PEM, with the intermediate ones where there are any) and its private key."""

    certificate: Path
    key: Path


class Listener(msgspec.Struct, frozen=True):
    """An address of this machine and a port; `tls`: only encrypted, with these files."""

    host: str
    port: int
    tls: TlsFiles | None = None

    def __str__(self) -> str:
        return f"{bracketed(self.host)}:{self.port}"


def bracketed(host: str) -> str:
    """As it stands in a URL: an IPv6 address in brackets."""
    return f"[{host}]" if ":" in host else host


def is_every(host: str) -> bool:
    """Does it stand for all addresses of this machine?"""
    return host in _EVERY


def reached_at(host: str) -> str:
    """Where this machine itself connects to what listens on `host`: at the loopback address where that is included."""
    if not is_every(host):
        return host
    return "::1" if ":" in host else "127.0.0.1"


def is_loopback(host: str) -> bool:
    """Can only this machine reach what listens there? Raises: ValueError when it is no IP address."""
    return ip_address(host).is_loopback
