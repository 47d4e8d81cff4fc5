"""Is the part in this container at work? Asked by Docker and Kubernetes every few seconds, so it costs little."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from contract.errors import RondaError

# An answer that takes longer is none.
_WITHIN_S = 5.0
# The states of `/proc/net/tcp`, as the kernel's `include/net/tcp_states.h` numbers them.
_ESTABLISHED, _LISTENING = "01", "0A"
_TABLES = (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))


class UnhealthyError(RondaError):
    """The part does not do its work; the text says what was looked for."""


def check_health(of: str) -> None:
    """`connected:8883`: does it have a connection to that port? `listening:1025`: does it listen? Else a URL is asked.

    Who hangs sends no MQTT keep-alive, and the broker cuts him off after 1.5 times 30 s: a connection to it is a sign
    of life. A container has a network of its own, so what is found there belongs to its part.

    Raises: UnhealthyError.
    """
    kind, _, port = of.partition(":")
    if kind == "connected":
        if int(port) not in _ports(_ESTABLISHED, remote=True):
            raise UnhealthyError(f"there is no connection to port {port}")
    elif kind == "listening":
        if int(port) not in _ports(_LISTENING, remote=False):
            raise UnhealthyError(f"nobody listens on port {port}")
    else:
        _ask(of)


def _ports(state: str, *, remote: bool) -> Iterator[int]:
    """The ports of the connections in this state, from the kernel's tables."""
    for table in _TABLES:
        rows = table.read_text().splitlines()[1:] if table.exists() else []
        for _, here, there, found, *_ in map(str.split, rows):
            if found == state:
                yield int((there if remote else here).rpartition(":")[2], 16)


def _ask(url: str) -> None:
    # With `ssl` in it, this costs as much as all the rest of the command.
    import ssl
    import urllib.request

    # The certificate is for the name that others use; this is the same container, asked by its loopback address.
    trust = ssl._create_unverified_context() if url.startswith("https:") else None  # noqa: S323, SLF001  # as said
    try:
        with urllib.request.urlopen(url, timeout=_WITHIN_S, context=trust):  # noqa: S310  # written beside the part
            return
    except (OSError, ValueError) as error:
        raise UnhealthyError(f"{url}: {error}") from error
