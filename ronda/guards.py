"""What is checked before anything starts, each with one line that says what to do."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import random
import socket
from collections.abc import Iterator
from pathlib import Path

from broker.address import MqttAddress
from broker.tls import client_context
from contract.errors import RondaError
from ronda.installation import AGENT_NAMES, InstallationError
from ronda.settings import Settings, SettingsError

# What only this machine can reach; the database and the local mail server never listen elsewhere.
LOOPBACK = "127.0.0.1"
# Below the range from which Linux takes ports for outgoing connections (net.ipv4.ip_local_port_range, 32768 on).
_NEVER_OUTGOING = range(20_000, 32_768)


def check_agents(without: tuple[str, ...]) -> list[str]:
    """The agents that are to run. Raises: InstallationError for a name that is none."""
    if unknown := [name for name in without if name not in AGENT_NAMES]:
        raise InstallationError(f"there is no agent {unknown[0]!r}; --without takes one of {', '.join(AGENT_NAMES)}")
    return [name for name in AGENT_NAMES if name not in without]


def check_settings(settings: Settings) -> None:
    """Raises: RondaError for an address that no mail could be sent to, or a broker that could not be trusted."""
    from cloud.notifications.email import addresses

    if url := settings.mqtt_url.get_secret_value():
        MqttAddress.parse(url).trusting(settings.mqtt_ca_file)
        client_context(settings.mqtt_ca_file)
    for name, text in (("EMAIL_FROM", settings.email_from), ("EMAIL_TO", settings.email_to)):
        try:
            addresses(text)
        except ValueError as error:
            raise SettingsError(f"{name}: {error}") from error


async def check_database(url: str) -> None:
    """Raises: RondaError in one line when DATABASE_URL leads nowhere or to somebody who does not let us in."""
    from cloud.storage.database import Database

    database = Database(url)
    try:
        await database.open()
    except RondaError as error:
        raise InstallationError(f"DATABASE_URL: {error}") from error
    finally:
        await database.close()


def check_port(host: str, port: int, option: str) -> None:
    """Raises: InstallationError when somebody else listens on the port, or the address is not of this machine."""
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            if error.errno == errno.EADDRNOTAVAIL:
                raise InstallationError(f"--listen {host} is no address of this machine") from error
            why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise InstallationError(f"port {port} {why}; choose another with {option}") from error


def free_port(host: str) -> int:
    """A port that nobody listens on now, and that no outgoing connection takes while its owner starts again."""
    for port in random.sample(_NEVER_OUTGOING, len(_NEVER_OUTGOING)):
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind((host, port))
            return port
    raise InstallationError(f"every port from {_NEVER_OUTGOING[0]} to {_NEVER_OUTGOING[-1]} is in use")


@contextlib.contextmanager
def alone(root: Path) -> Iterator[None]:
    """Hold the folder. Raises: InstallationError when another `ronda up` runs in it."""
    with (root / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise InstallationError(
                f"another `ronda up` runs in {root}; stop it, or name another folder with --data"
            ) from error
        yield
