"""Facts from this machine: processes of `ronda up`, their logs, the disk, and whether others answer."""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import httpx
import msgspec

from ronda.checks.api import Door as ApiDoor
from ronda.doctor.facts import BrokerCount, Death, Disk, Door, Processes
from ronda.installation import Installation, Runtime
from ronda.parts import Surroundings
from ronda.settings import Settings

_WITHIN_S = 5.0
_HOUR_MS = 3_600_000
# The end of a log in which an hour of a broken part stands, and a minute of the busiest hub.
_TAIL_BYTES = 2 << 20
_DIED = {"part.died", "database.died"}
_DROPPED = ("refused_full", "dropped_slow", "dropped_retained", "disk_full", "dead_letters")


class _Line(msgspec.Struct):
    """What of a log line is of interest here."""

    at: datetime
    event: str
    part: str = ""
    waiting_for: dict[str, int] = {}
    refused_full: int = 0
    dropped_slow: int = 0
    dropped_retained: int = 0
    disk_full: int = 0
    dead_letters: int = 0


def look_at_processes(installation: Installation, runtime: Runtime, now_ms: int) -> Processes:
    """`ronda up` and its parts; on systems without /proc only whether it is there."""
    deaths: dict[str, Death] = {}
    for at_ms, line in _events(installation.logs / "up.jsonl", _DIED):
        if now_ms - at_ms < _HOUR_MS:
            part = line.part or "database"
            before = deaths.get(part)
            deaths[part] = Death(part=part, times=1 + (before.times if before else 0), last_ms=at_ms)
    alive = _is_alive(runtime.pid)
    children = _children(runtime.pid) if alive else None
    wanted = {"hub": "hub", "web": "api"} | ({} if runtime.broker == "external" else {"emulator": "emulate"})
    missing = [] if children is None else [part for part, command in wanted.items() if command not in children]
    return Processes(alive=alive, missing=missing, deaths=list(deaths.values()))


def look_at_disk(folder: Path) -> Disk:
    """The room that is left."""
    usage = shutil.disk_usage(folder)
    return Disk(folder=str(folder), free=usage.free, total=usage.total)


def last_count(installation: Installation, since_ms: int) -> BrokerCount | None:
    """What the embedded broker said last; None where it has said nothing since."""
    found = None
    for at_ms, line in _events(installation.logs / "hub.jsonl", {"broker.counted"}):
        if at_ms >= since_ms:
            dropped = {name: int(getattr(line, name)) for name in _DROPPED}
            found = BrokerCount(at_ms=at_ms, waiting_for=line.waiting_for, dropped=dropped)
    return found


async def look_at_api(around: Surroundings) -> Door:
    """Does it answer, and is it ready?"""
    door = ApiDoor(around)
    try:
        async with asyncio.timeout(_WITHIN_S), door.anonymous() as http:
            answer = await http.get("/healthz")
    except Exception as error:  # whatever it is, it is the finding
        return Door(where=door.base_url, error=str(error) or f"no answer within {_WITHIN_S:.0f} s")
    return Door(
        where=door.base_url, error="" if answer.status_code == 200 else f"/healthz answers {answer.status_code}"
    )


async def look_at_registry(uri: str) -> Door:
    """A server is asked; a file, or a database of its own, is opened by MLflow alone."""
    if uri.startswith("sqlite:///"):
        file = uri.removeprefix("sqlite:///")
        there = await asyncio.to_thread(Path(file).exists)
        return Door(where=file, error="" if there else "the file is not there")
    if not uri.startswith(("http://", "https://")):
        return Door(where=uri.partition("://")[0])
    try:
        async with httpx.AsyncClient(timeout=_WITHIN_S) as http:
            answer = await http.get(f"{uri.rstrip('/')}/health")
    except httpx.TransportError as error:
        return Door(where=uri, error=f"no answer ({error!r})")
    return Door(where=uri, error="" if answer.is_success else f"/health answers {answer.status_code}")


async def look_at_mail(runtime: Runtime) -> Door | None:
    """Does somebody listen there? None where no mail is sent."""
    if not runtime.smtp_host:
        return None
    where = f"{runtime.smtp_host}:{runtime.smtp_port}"
    try:
        async with asyncio.timeout(_WITHIN_S):
            _, writer = await asyncio.open_connection(runtime.smtp_host, runtime.smtp_port)
        writer.close()
    except (OSError, TimeoutError) as error:
        return Door(where=where, error=f"no answer ({error!r})")
    return Door(where=where)


def disk_folder(installation: Installation | None, settings: Settings) -> Path | None:
    """Where something of ours fills up."""
    return installation.root if installation is not None else settings.mail_folder


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _children(pid: int) -> set[str] | None:
    """The sub-commands of its children; None where the system does not tell."""
    try:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
    except OSError:
        return None
    return {command for child in children if (command := _sub_command(child))}


def _sub_command(pid: str) -> str:
    with contextlib.suppress(OSError, ValueError):
        words = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        return words[words.index("ronda") + 1]
    return ""


def _events(path: Path, names: set[str]) -> Iterator[tuple[int, _Line]]:
    """(time, line) of these events at the end of a log."""
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
            lines = file.read().splitlines()
    except OSError:
        return
    for raw in lines:
        # The first may be half a line.
        with contextlib.suppress(msgspec.DecodeError, UnicodeDecodeError):
            line = msgspec.json.decode(raw, type=_Line)
            if line.event in names:
                yield int(line.at.timestamp() * 1000), line
