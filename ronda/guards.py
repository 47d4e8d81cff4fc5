"""What is checked before anything starts, each with one line that says what to do."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import socket
from collections.abc import Iterator
from pathlib import Path

from contract.errors import RondaError
from ronda.installation import AGENT_NAMES, InstallationError
from ronda.settings import Settings, SettingsError

# Beyond this machine nobody listens: there is no TLS yet.
LOOPBACK = "127.0.0.1"


def check_agents(without: tuple[str, ...]) -> list[str]:
    """The agents that are to run. Raises: InstallationError for a name that is none."""
    if unknown := [name for name in without if name not in AGENT_NAMES]:
        raise InstallationError(f"there is no agent {unknown[0]!r}; --without takes one of {', '.join(AGENT_NAMES)}")
    return [name for name in AGENT_NAMES if name not in without]


def check_settings(settings: Settings) -> None:
    """Raises: SettingsError for an address that no mail or webhook could be sent to."""
    from cloud.notifications.email import addresses

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
    """Raises: InstallationError when somebody else listens on the port."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            why = "is in use" if error.errno == errno.EADDRINUSE else f"cannot be used ({error.strerror})"
            raise InstallationError(f"port {port} {why}; choose another with {option}") from error


def free_port(host: str) -> int:
    """A port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        return int(probe.getsockname()[1])


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
