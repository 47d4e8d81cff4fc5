"""The parts that run beside each other: started, watched, started again when they die, and stopped with us."""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import logging
import os
import signal
import sys
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path

log = logging.getLogger("ronda.processes")

# Linux: the kernel signals a child whose parent is gone, however the parent went (prctl(2)).
_PR_SET_PDEATHSIG = 1
# Says to a child that it is to end with the process of this id.
FOLLOW = "RONDA_SUPERVISOR_PID"

# A part that dies at once is started again ever more slowly, up to this pause.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 10.0
# A part that ran this long had started well: the next death begins with the first pause again.
_STABLE_S = 30.0
# A part closes within a second when the others are there.
STOP_WITHIN_S = 8.0


class Part:
    """A `ronda` sub-command in a process of its own."""

    def __init__(
        self, name: str, arguments: list[str], errors: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        self.name = name
        self.restarts = 0
        self._arguments = arguments
        self._errors = errors
        self._environment = environment or {}
        self._process: asyncio.subprocess.Process | None = None
        self._stopping = False

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._process.pid if self._process and self._process.returncode is None else None

    @property
    def stopped(self) -> bool:
        """Was it told to end?"""
        return self._stopping

    async def start(self) -> None:
        """Start the process; what it prints outside its log goes to the errors file."""
        with self._errors.open("ab") as errors:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable, "-m", "ronda", *self._arguments,
                stdin=asyncio.subprocess.DEVNULL, stdout=errors, stderr=errors,
                # Ctrl-C reaches us alone; we stop the parts in order.
                start_new_session=True,
                env=followers_environment() | dict(self._environment),
            )  # fmt: skip
        log.info("part.started", extra={"part": self.name, "pid": self._process.pid})

    def last_words(self) -> str:
        """The last line that it printed outside its log."""
        lines = self._errors.read_text(errors="replace").strip().splitlines() if self._errors.exists() else []
        return lines[-1].strip() if lines else ""

    async def wait(self) -> int:
        """Until it ends: its exit code."""
        if self._process is None:
            return 0
        return await self._process.wait()

    async def keep(self) -> None:
        """Start it again whenever it dies, until it is stopped."""
        pause, clock = _FIRST_PAUSE_S, asyncio.get_running_loop().time
        while not self._stopping:
            began = clock()
            code = await self.wait()
            if self.stopped:
                return
            pause = _FIRST_PAUSE_S if clock() - began > _STABLE_S else min(pause * 2, _LONGEST_PAUSE_S)
            log.error("part.died", extra={"part": self.name, "code": code, "again_in_s": pause})
            await asyncio.sleep(pause)
            self.restarts += 1
            await self.start()

    async def stop(self, grace_s: float = STOP_WITHIN_S + 1) -> None:
        """Ask it to end, and end it when it does not."""
        self._stopping = True
        process = self._process
        if process is None or process.returncode is not None:
            return
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), grace_s)
        except TimeoutError:
            log.warning("part.killed", extra={"part": self.name})
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()


def followers_environment() -> dict[str, str]:
    """Ours, with the word that the child is to end with us."""
    return {**os.environ, FOLLOW: str(os.getpid())}


def follow_supervisor() -> None:
    """End with the process that started us, even when that is killed with -9. Does nothing when run by hand."""
    # Taken away, since it is not said to our own children.
    supervisor = os.environ.pop(FOLLOW, None)
    if supervisor is None or not sys.platform.startswith("linux"):
        return
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
    if os.getppid() != int(supervisor):
        raise SystemExit(0)


async def until_told_to_stop(grace_s: float = STOP_WITHIN_S) -> None:
    """Wait for SIGTERM or Ctrl-C; from then on the process has `grace_s` to end by itself."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    await stop.wait()
    loop.call_later(grace_s, _end_at_once)


def _end_at_once() -> None:
    """What cannot be closed, since the others went first, is not waited for: nothing here lives in memory alone."""
    log.warning("process.ended_at_once")
    os._exit(1)


async def kept_alive(name: str, work: Callable[[], Awaitable[None]]) -> None:
    """Run `work` for ever: when it fails it is logged and begun again after a growing pause."""
    pause, clock = _FIRST_PAUSE_S, asyncio.get_running_loop().time
    while True:
        began = clock()
        try:
            await work()
        except Exception:
            log.exception("task.failed", extra={"task": name})
            if (task := asyncio.current_task()) is not None and task.cancelling():
                # The failure came in place of the cancellation: we are told to end, not to begin again.
                raise
        pause = _FIRST_PAUSE_S if clock() - began > _STABLE_S else min(pause * 2, _LONGEST_PAUSE_S)
        await asyncio.sleep(pause)
