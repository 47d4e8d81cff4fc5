"""The server's processes: started without root's rights and bound to our life, found again, and stopped."""

from __future__ import annotations

import ctypes
import os
import pwd
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any

import msgspec

_PR_SET_PDEATHSIG = 1
# nobody, where even that name is missing: the kernel's overflow uid.
_OVERFLOW_ID = 65534
# Linux resolves this link without asking for rights on the parent folders, so the server may live below a folder
# that only root may enter, and nothing has to be opened up.
_HERE = "/proc/self/cwd"
# PostgreSQL: SIGINT is a fast shutdown (finish no session, lose nothing), SIGQUIT leaves recovery to the next start.
STOP_SIGNALS = ((signal.SIGINT, 15.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0))


class Account(msgspec.Struct, frozen=True):
    """The user that the server runs as."""

    uid: int
    gid: int


def account(cluster: Path) -> Account | None:
    """Whom to become for the server in `cluster`; None: stay who we are, since only root must change.

    A database that exists stays with its owner; a new one goes to `postgres`, else `nobody`.
    """
    if os.geteuid() != 0:
        return None
    if cluster.exists() and (owner := cluster.stat()).st_uid != 0:
        return Account(owner.st_uid, owner.st_gid)
    for name in ("postgres", "nobody"):
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return Account(entry.pw_uid, entry.pw_gid)
    return Account(_OVERFLOW_ID, _OVERFLOW_ID)


def data_argument(folder: Path) -> str:
    """How a process that runs in `folder` names it on its command line."""
    return _HERE if sys.platform == "linux" else str(folder)


def run(program: Path, arguments: Sequence[str], folder: Path, who: Account | None, stdin: str = "") -> str:
    """Run to the end inside `folder`. Returns what it complained of; empty when it went well."""
    done = subprocess.run(  # noqa: S603  # our own binary with our own arguments
        [str(program), *arguments],
        input=stdin,
        capture_output=True,
        text=True,
        check=False,
        **_setting(folder, who),
    )
    return "" if done.returncode == 0 else (done.stderr.strip() or f"exit code {done.returncode}")


def spawn(
    program: Path, arguments: Sequence[str], folder: Path, who: Account | None, log: IO[bytes]
) -> subprocess.Popen[bytes]:
    """Start the server inside `folder`, in a session of its own so that the terminal's Ctrl-C does not reach it.

    On Linux the kernel shuts it down when the thread that started it ends, whatever ends it.
    """
    return subprocess.Popen(  # noqa: S603  # our own binary with our own arguments
        [str(program), *arguments],
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=log,
        start_new_session=True,
        preexec_fn=_bind_to_parent() if sys.platform == "linux" else None,  # noqa: PLW1509  # two system calls, no lock
        **_setting(folder, who),
    )


def processes_in(folder: Path) -> list[int]:
    """The server processes that work in `folder`, as every PostgreSQL process does in its data folder (Linux)."""
    try:
        place = folder.stat()
    except FileNotFoundError:
        return []
    return [int(entry.name) for entry in Path("/proc").glob("[0-9]*") if _works_in(entry, place)]


def end(folder: Path) -> bool:
    """Stop the server in `folder`, gently first. Returns whether all its processes are gone.

    Only the first process understands a request to shut down; its children would mistake it for something else.
    """
    for sign, patience_s in STOP_SIGNALS:
        pids = processes_in(folder)
        _signal_all(pids if sign != signal.SIGINT else [pid for pid in pids if pid == _first(folder)], sign)
        if _gone(folder, patience_s):
            return True
    return False


def _first(folder: Path) -> int | None:
    """The pid in the server's lock file; it may be stale."""
    try:
        return int((folder / "postmaster.pid").read_text().partition("\n")[0])
    except (OSError, ValueError):
        return None


def _gone(folder: Path, patience_s: float) -> bool:
    deadline = time.monotonic() + patience_s
    while processes_in(folder):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def _works_in(entry: Path, place: os.stat_result) -> bool:
    try:
        return os.path.samestat((entry / "cwd").stat(), place) and (entry / "exe").readlink().name.startswith(
            "postgres"
        )
    except OSError:  # ended meanwhile, or somebody else's
        return False


def _signal_all(pids: Sequence[int], sign: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, sign)
        except ProcessLookupError:
            continue


def _setting(folder: Path, who: Account | None) -> Mapping[str, Any]:
    environment = {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}
    rights = {} if who is None else {"user": who.uid, "group": who.gid, "extra_groups": []}
    return {"cwd": folder, "env": environment, **rights}


def _bind_to_parent() -> Any:
    parent = os.getpid()
    prctl = ctypes.CDLL(None).prctl

    def bind() -> None:
        # After the change of user, which clears it; the parent may have died in between.
        prctl(_PR_SET_PDEATHSIG, signal.SIGINT)
        if os.getppid() != parent:
            os._exit(1)

    return bind
