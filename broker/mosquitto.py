"""Mosquitto in the place of the embedded broker: configuration and access list from the same declarations."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from broker.access import rights_of
from broker.bus import MAX_PACKET_BYTES, Promises
from broker.credentials import Credentials
from broker.fullness import MAX_MESSAGES
from broker.listeners import Listener, reached_at
from broker.tls import server_context
from contract.access import Party, device_rights
from contract.errors import RondaError

log = logging.getLogger("ronda.broker.mosquitto")

# Measured against 2.0.11: a clean stop writes everything to disk; kill -9 loses what came since the last periodic
# save; beyond `max_queued_messages` it acknowledges and drops.
MOSQUITTO = Promises(
    redelivers_unacknowledged=True,
    survives_subscriber_kill=True,
    keeps_order_per_publisher=True,
    survives_broker_restart=True,
    survives_broker_kill=False,
    refuses_when_full=False,
)
# The default of 20 leaves a pipelined subscriber idle most of the time.
_MAX_INFLIGHT = 1000

# Written to disk this often; what a power cut can take.
_AUTOSAVE_S = 30
# PR_SET_PDEATHSIG, SIGTERM; and then the program in its place.
_FOLLOW = """
import ctypes, os, sys
ctypes.CDLL(None).prctl(1, 15)
if os.getppid() == int(sys.argv[1]):
    os.execv(sys.argv[2], sys.argv[2:])
"""
_START_TIMEOUT_S = 10.0
_STOP_TIMEOUT_S = 10.0
_DEBIAN_PATH = "/usr/sbin"
# Stand where Mosquitto's `pattern` puts the user name, which is `site/device`.
_SITE, _DEVICE = "SITE", "DEVICE"


class MosquittoError(RondaError):
    """Mosquitto is not there, or does not start."""


def configuration(
    data_dir: Path,
    listeners: Sequence[Listener],
    *,
    passwd: Path,
    acl: Path,
    user: str | None = None,
    max_queued: int = MAX_MESSAGES,
) -> str:
    """The text of `mosquitto.conf`; the paths are those that Mosquitto itself sees.

    `listeners`: one plain on the loopback address, one with TLS for the devices, or what a container needs. `user`:
    whom Mosquitto becomes when root starts it.
    """
    lines = [
        "per_listener_settings false",
        *([f"user {user}"] if user else []),
        *(line for listener in listeners for line in _listener(listener)),
        "allow_anonymous false",
        f"password_file {passwd}",
        f"acl_file {acl}",
        "persistence true",
        f"persistence_location {data_dir}/",
        f"autosave_interval {_AUTOSAVE_S}",
        # Pipelined QoS 1 publishing went from 6,400/s to 131,000/s with it.
        "set_tcp_nodelay true",
        f"max_inflight_messages {_MAX_INFLIGHT}",
        # The default of 1000 is one second of a busy site.
        f"max_queued_messages {max_queued}",
        f"max_packet_size {MAX_PACKET_BYTES}",
        "connection_messages false",
        "log_dest stderr",
        "log_type error",
        "log_type warning",
    ]
    return "\n".join(lines) + "\n"


def _listener(listener: Listener) -> list[str]:
    lines = [f"listener {listener.port} {listener.host}"]
    if listener.tls is not None:
        # The oldest version that is spoken: 1.3 is too.
        lines += [f"certfile {listener.tls.certificate}", f"keyfile {listener.tls.key}", "tls_version tlsv1.2"]
    return lines


def access_list(parties: Sequence[Party], users: Iterable[str] = ()) -> str:
    """The text of Mosquitto's access list: the parties, the gateways among `users`, one pattern for all devices."""
    gateways = sorted(user for user in users if user.startswith("gateway/"))
    named = [party for party in parties if "/" not in party.name]
    blocks = [_rules(party) for party in named]
    blocks += [_gateway_rules(rights) for user in gateways if (rights := rights_of((), user))]
    return "\n".join([*blocks, _device_patterns()])


def _rules(party: Party) -> str:
    lines = [f"user {party.name}"]
    lines += [f"topic write {one}" for one in party.writes]
    lines += [f"topic read {one}" for one in party.reads]
    return "\n".join(lines) + "\n"


def _gateway_rules(rights: Party) -> str:
    # The devices' patterns would give `gateway/site` the topics of a device `site` at a site `gateway`.
    denied = [f"topic deny {one}\n" for _, one in _device_topics(rights.name)]
    return _rules(rights) + "".join(denied)


def _device_patterns() -> str:
    return "".join(f"pattern {access} {one}\n" for access, one in _device_topics("%u"))


def _device_topics(user: str) -> list[tuple[str, str]]:
    """(access, topic) of a device, with its `site/device` written as `user`."""
    rights = device_rights(_SITE, _DEVICE)
    topics = [("write", one) for one in rights.writes] + [("read", one) for one in rights.reads]
    return [(access, one.replace(f"{_SITE}/{_DEVICE}", user)) for access, one in topics]


class Mosquitto:
    """A Mosquitto process of our own in `data_dir`, from its start until it has written everything and stopped."""

    promises = MOSQUITTO

    def __init__(
        self,
        data_dir: Path,
        host: str,
        port: int,
        credentials: Credentials,
        parties: Sequence[Party],
        *,
        further: Sequence[Listener] = (),
        max_queued: int = MAX_MESSAGES,
    ) -> None:
        """`host` and `port` are those of the plain listener; `further` ones may have TLS."""
        self._dir, self.host, self.port, self._max_queued = data_dir, host, port, max_queued
        self._listeners = [Listener(host, port), *further]
        self._credentials, self._parties = credentials, parties
        self._process: asyncio.subprocess.Process | None = None

    @property
    def pid(self) -> int:
        """The process id. Raises: MosquittoError when it does not run."""
        if self._process is None:
            raise MosquittoError("Mosquitto is not running")
        return self._process.pid

    @property
    def running(self) -> bool:
        """Is the process there?"""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Write the configuration, start, and wait until connections are accepted.

        Raises: MosquittoError; TlsError for a certificate that cannot be used.
        """
        for listener in self._listeners:
            _check(listener)
        config = self._write_configuration()
        self._process = await asyncio.create_subprocess_exec(
            *_following(_executable()), "-c", str(config), stdout=asyncio.subprocess.DEVNULL, stderr=self._log_file()
        )
        try:
            async with asyncio.timeout(_START_TIMEOUT_S):
                await self._accepts_connections()
        except TimeoutError:
            await self.stop()
            raise MosquittoError(f"Mosquitto does not accept connections on {self.host}:{self.port}") from None
        log.info("mosquitto.started", extra={"host": self.host, "port": self.port, "pid": self.pid})

    async def stop(self) -> None:
        """Let it write its state and end; kill it when it does not."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            async with asyncio.timeout(_STOP_TIMEOUT_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        log.info("mosquitto.stopped", extra={"port": self.port})

    async def wait(self) -> int:
        """Wait until the process ends by itself; returns its exit code."""
        if self._process is None:
            raise MosquittoError("Mosquitto is not running")
        return await self._process.wait()

    def reload(self) -> None:
        """Make it read the passwords and the access list again (SIGHUP); revoked users are cut off."""
        self._write_access_list()
        os.kill(self.pid, signal.SIGHUP)

    async def _accepts_connections(self) -> None:
        process = self._process
        while process is not None:
            if process.returncode is not None:
                raise MosquittoError(f"Mosquitto ended at once ({process.returncode}): {self._last_words()}")
            try:
                _, writer = await asyncio.open_connection(reached_at(self.host), self.port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return

    def _write_configuration(self) -> Path:
        self._dir.mkdir(parents=True, exist_ok=True)
        if not self._credentials.path.exists():
            self._credentials.set_all({})
        self._write_access_list()
        config = self._dir / "mosquitto.conf"
        # Started by root it would become user `mosquitto`, who may not read a folder of ours.
        become = "root" if os.geteuid() == 0 else None
        text = configuration(
            self._dir,
            self._listeners,
            passwd=self._credentials.path,
            acl=self._acl(),
            user=become,
            max_queued=self._max_queued,
        )
        config.write_text(text, encoding="utf-8")
        return config

    def _write_access_list(self) -> None:
        fresh = self._acl().with_suffix(".new")
        fresh.write_text(access_list(self._parties, self._credentials.users()), encoding="utf-8")
        fresh.replace(self._acl())

    def _acl(self) -> Path:
        return self._dir / "mosquitto.acl"

    def _log_file(self) -> int:
        return os.open(self._dir / "mosquitto.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)

    def _last_words(self) -> str:
        with contextlib.suppress(OSError):
            return (self._dir / "mosquitto.log").read_text(errors="replace").strip()[-500:]
        return ""


def _check(listener: Listener) -> None:
    """Raises: MosquittoError when somebody has the port, and would answer in Mosquitto's place; TlsError."""
    if listener.tls is not None:
        # Mosquitto's own words for it are OpenSSL's.
        server_context(listener.tls)
    family = socket.AF_INET6 if ":" in listener.host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((listener.host, listener.port))
        except OSError as error:
            raise MosquittoError(
                f"Mosquitto cannot listen on {listener}: {error.strerror}; "
                "stop what uses the port or choose another one"
            ) from error


def _following(executable: str) -> list[str]:
    """The command that ends, its state written, when we are gone: killed with -9 we could not end it (prctl(2))."""
    if not sys.platform.startswith("linux"):
        return [executable]
    return [sys.executable, "-I", "-S", "-c", _FOLLOW, str(os.getpid()), executable]


def _executable() -> str:
    found = shutil.which("mosquitto") or shutil.which("mosquitto", path=_DEBIAN_PATH)
    if found is None:
        raise MosquittoError("mosquitto is not installed; on Debian: sudo apt-get install mosquitto")
    return found
