"""`ronda mlflow`, started, asked whether it is well, stopped or killed without a trace."""

from __future__ import annotations

import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import psutil

from tests.support.installation import clean_environment, until
from tests.support.ports import free_port


class MlflowServer:
    """`ronda mlflow` in a process of its own."""

    def __init__(self, folder: Path, environment: dict[str, str], name: str = "mlflow") -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.output = folder / f"{name}.out"
        self._folder = folder
        self._environment = clean_environment() | environment
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> MlflowServer:
        with self.output.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "ronda", "mlflow", "--port", str(self.port), "--data", "unused"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=out, env=self._environment, cwd=self._folder,
            )  # fmt: skip
        until(self._healthy, lambda: f"MLflow; it said:\n{self.said()}", 60)
        return self

    def family(self) -> list[psutil.Process]:
        assert self.process is not None
        top = psutil.Process(self.process.pid)
        return [top, *top.children(recursive=True)]

    def said(self) -> str:
        return self.output.read_text(errors="replace")

    def stop(self) -> None:
        if self.process is None or self.process.poll() is not None:
            return
        family = self.family()
        self.process.send_signal(signal.SIGTERM)
        _, left = psutil.wait_procs(family, timeout=15)
        for process in left:
            process.kill()
        assert not left, f"left behind: {left}"

    def killed(self) -> None:
        """With -9: the worker must not live on."""
        family = self.family()
        family[0].kill()
        _, left = psutil.wait_procs(family, timeout=10)
        for process in left:
            process.kill()
        assert not left, f"left behind: {left}"

    def refused(self) -> str:
        """What it says when it ends at once."""
        done = subprocess.run(
            [sys.executable, "-m", "ronda", "mlflow", "--port", str(self.port), "--data", "unused"],
            capture_output=True, text=True, timeout=60, env=self._environment, cwd=self._folder, check=False,
        )  # fmt: skip
        assert done.returncode != 0, done.stdout
        [line] = done.stderr.strip().splitlines()
        return line

    def _healthy(self) -> bool | None:
        assert self.process is not None
        assert self.process.poll() is None, self.said()
        try:
            with urllib.request.urlopen(f"{self.url}/health", timeout=2) as answer:
                return True if answer.status == 200 else None
        except OSError:
            return None
