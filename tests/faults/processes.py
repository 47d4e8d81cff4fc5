"""A part in a process of its own, started again when it dies, as a supervisor does."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from tests.faults.seams import Control

ROOT = Path(__file__).parents[2]
_AGAIN_AFTER_S = 0.2
_STOP_WITHIN_S = 15.0


class Process:
    """One part. `arguments` are those of `ronda`; what it prints is in `folder`/output.jsonl.

    `program`: a command that is none of `ronda`, and has no seams and no clock of its own.
    """

    def __init__(
        self,
        part: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        folder: Path,
        program: Sequence[str] = (),
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.part = part
        self.folder = folder
        self.control = Control(folder)
        self.deaths = 0
        self._command = program or [
            sys.executable, "-m", "tests.faults.launch", str(folder), part, *arguments
        ]  # fmt: skip
        self._environment = environment
        self._process: asyncio.subprocess.Process | None = None
        self._keeper: asyncio.Task[None] | None = None
        self._died = asyncio.Event()
        self._may_run = asyncio.Event()
        self._may_run.set()

    @property
    def pid(self) -> int:
        """Raises: ProcessLookupError when it does not run."""
        if self._process is None or self._process.returncode is not None:
            raise ProcessLookupError(self.part)
        return self._process.pid

    async def start(self) -> None:
        """Start it, and keep it running."""
        await self._spawn()
        self._keeper = asyncio.create_task(self._keep(), name=f"keeper of {self.part}")

    async def stop(self) -> None:
        """Ask it to end; by force when it does not."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
        process = self._process
        if process is None or process.returncode is not None:
            return
        for sign in (signal.SIGCONT, signal.SIGTERM):
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(sign)
        try:
            await asyncio.wait_for(process.wait(), _STOP_WITHIN_S)
        except TimeoutError:
            process.kill()
            await process.wait()

    def kill(self) -> None:
        """Kill -9, from outside."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)

    def signal(self, sign: signal.Signals) -> None:
        """Any other signal."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, sign)

    def hold_down(self) -> None:
        """When it dies, leave it dead until `release`."""
        self._may_run.clear()

    def release(self) -> None:
        """Start it again when it dies."""
        self._may_run.set()

    async def death(self) -> None:
        """Wait for its next death from now."""
        self._died.clear()
        await self._died.wait()

    def set_clock(self, ahead_s: float) -> None:
        """Its clock runs ahead by so much, from now on."""
        (self.folder / "clock").write_text(str(ahead_s))

    def said(self, most: int = 3000) -> str:
        """The end of what it printed."""
        output = self.folder / "output.jsonl"
        return output.read_text(errors="replace")[-most:] if output.exists() else ""

    async def _spawn(self) -> None:
        with (self.folder / "output.jsonl").open("ab") as output:
            self._process = await asyncio.create_subprocess_exec(
                *self._command,
                stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
                env={**self._environment, "PYTHONPATH": str(ROOT)},
                # Where no `.env` of a person lies.
                cwd=self.folder,
                start_new_session=True,
            )  # fmt: skip

    async def _keep(self) -> None:
        while True:
            assert self._process is not None
            await self._process.wait()
            self.deaths += 1
            self._died.set()
            await asyncio.sleep(_AGAIN_AFTER_S)
            await self._may_run.wait()
            await self._spawn()
