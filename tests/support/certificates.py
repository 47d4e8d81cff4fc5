"""Certificates of a private authority for tests, as `ronda certs` makes them."""

from __future__ import annotations

import ssl
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from broker.listeners import TlsFiles
from ronda.tls.certs import ensure

LOCAL = ("localhost", "127.0.0.1", "::1")


def certificates(folder: Path, names: Sequence[str] = LOCAL, *, now: datetime | None = None) -> tuple[Path, TlsFiles]:
    """(the authority's certificate, the server's files); an authority that is there already is kept."""
    ensure(folder, {"server": names}, now or datetime.now(UTC))
    return folder / "ca.crt", TlsFiles(folder / "server.crt", folder / "server.key")


def shaken(client: ssl.SSLContext, server: ssl.SSLContext, host: str) -> ssl.SSLError | None:
    """A handshake in memory: the client's error, if any."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    asks = client.wrap_bio(to_client, to_server, server_hostname=host)
    answers = server.wrap_bio(to_server, to_client, server_side=True)
    for _ in range(4):
        for side in (asks, answers):
            try:
                side.do_handshake()
            except ssl.SSLWantReadError:
                continue
            except ssl.SSLError as error:
                return error
    return None
