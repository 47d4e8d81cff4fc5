"""The device's own files on MicroPython's 32-bit build: scripts that ask one part, and a whole device as a process."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware.generate import ESP32, altered
from firmware.micropython import command
from tests.support.installation import until

HERE = Path(__file__).parent
SHIM = HERE / "shim"
# What an ESP32 leaves to Python beside Wi-Fi.
HEAP = "heapsize=110K"
# What `machine.reset` of the shim ends with.
RESET = 64
# The sensor's own numbers at ±2 g.
LSB_PER_G = 16384

Samples = NDArray[np.float64]
"""Shape (n, 3): g on each axis, a sample a millisecond."""


def turning(rpm: float = 1500.0, seconds: int = 1) -> Samples:
    """A shaft with an imbalance and a little noise, on a sensor that stands upright."""
    at = np.arange(1000 * seconds) / 1000
    turn = 2 * np.pi * rpm / 60 * at
    noise = np.random.default_rng(1).normal(scale=0.02, size=(3, at.size))
    rows = np.stack([0.3 * np.sin(turn), 0.15 * np.sin(2 * turn + 1), 1 + 0.1 * np.sin(3 * turn)])
    return (rows + noise).T


def as_sampled(samples: Samples) -> bytes:
    """The same as the sensor keeps it: big-endian 16-bit integers."""
    limits = np.iinfo(np.int16)
    return np.clip(np.round(samples * LSB_PER_G), limits.min, limits.max).astype(">i2").tobytes()


def environment(**more: str) -> dict[str, str]:
    """The shims before the device's files, and these before what is built in."""
    return os.environ | {"MICROPYPATH": f"{SHIM}:{ESP32}:.frozen"} | more


def ask(script: str, *arguments: object, cwd: Path, given: Sequence[object] = ()) -> Any:
    """Run a script of `on_device/` beside the device's files; returns what it answers last."""
    return answers(script, *arguments, cwd=cwd, given=given)[-1]


def answers(script: str, *arguments: object, cwd: Path, given: Sequence[object] = ()) -> list[Any]:
    """The same with all that it answers, line by line as it is `given`: its memory is small."""
    done = subprocess.run(
        [*command(), "-X", HEAP, str(HERE / "on_device" / script), *map(str, arguments)],
        cwd=cwd,
        env=environment(PLANT=str(cwd)),
        input="".join(f"{json.dumps(one)}\n" for one in given),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines() if not line.startswith("[ ")]


class Esp32:
    """A device in a folder: its flash, its machine, its configuration. Started again after each reset, as a chip is."""

    def __init__(
        self,
        folder: Path,
        site: str,
        device: str,
        *,
        mqtt: Mapping[str, object],
        firmware: Path = ESP32,
    ) -> None:
        self.folder, self.firmware = folder, firmware
        self.owner = folder / "owner"
        self.owner.mkdir(parents=True)
        self.plant = folder / "plant"
        self.plant.mkdir()
        self.play(turning())
        self.warm(61.25)
        wifi = {"ssid": "plant", "password": "not on the loopback"}
        config = {"site": site, "device": device, "wifi": wifi, "mqtt": dict(mqtt)}
        (self.owner / "config.json").write_text(json.dumps(config))
        self._log = folder / "serial.log"
        self._stopping = False
        self._process: subprocess.Popen[bytes] | None = None
        self._keeper: threading.Thread | None = None
        # Power-ups before the newest one.
        self._earlier = 0

    def play(self, samples: Samples) -> None:
        """What the machine does, in a circle; from the next power-up on."""
        (self.plant / "samples").write_bytes(as_sampled(samples))

    def warm(self, celsius: float) -> None:
        """How hot it is."""
        (self.plant / "celsius").write_text(str(celsius))

    def hurt(self, fault: str) -> None:
        """Let `mpu6050.silent`, `ds18b20.silent`, `bus.stuck` or `time.unset` be so."""
        (self.plant / fault).touch()

    def heal(self, fault: str) -> None:
        """Let it be over."""
        (self.plant / fault).unlink()

    def start(self) -> Esp32:
        """Power-up. What is not the shipped firmware is not started: what a test saw is what a plant gets."""
        changed = altered(self.firmware)
        assert not changed, f"not as in manifest.json: {changed}; run: python -m firmware.generate"
        self._stopping = False
        self._earlier = len(self._boots())
        self._keeper = threading.Thread(target=self._keep_running, daemon=True)
        self._keeper.start()
        until(lambda: self._process, "the process of the device")
        return self

    def stop(self) -> None:
        """Pull the plug: kill -9, at whatever moment."""
        self._stopping = True
        process = self._process
        if process is not None and process.poll() is None:
            process.kill()
        if self._keeper is not None:
            self._keeper.join(10)

    def freeze(self) -> None:
        """Stand still without a word and without closing anything."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def said(self) -> list[str]:
        """The serial log so far, over all power-ups."""
        return self._log.read_text(errors="replace").splitlines() if self._log.exists() else []

    def until_said(self, pattern: str, within_s: float = 20.0, *, times: int = 1) -> re.Match[str]:
        """Wait for a line of the serial log, the `times`-th of its kind."""

        def found() -> re.Match[str] | None:
            matches = [match for line in self.said() if (match := re.search(pattern, line))]
            return matches[times - 1] if len(matches) >= times else None

        return until(found, lambda: f"{pattern!r} on the serial line:\n" + "\n".join(self.said()[-40:]), within_s)

    @property
    def boot(self) -> str:
        """The boot of the newest power-up, once it is under way."""
        said = until(lambda: self._boots()[self._earlier :] or None, "the device to start")
        return said[-1]

    @property
    def kept(self) -> int:
        """How many readings the newest power-up has measured."""
        lines = "\n".join(self.said()).rpartition("device.started")[2]
        return max((int(seq) + 1 for seq in re.findall(r"reading\.kept (\d+) ", lines)), default=0)

    def _boots(self) -> list[str]:
        return re.findall(r"device\.started \S+ boot (\w+)", "\n".join(self.said()))

    def _keep_running(self) -> None:
        paths = {"PLANT": self.plant, "FLASH": self.folder / "flash", "OWNER": self.owner}
        variables = environment(**{name: str(path) for name, path in paths.items()})
        variables["MICROPYPATH"] = f"{SHIM}:{self.firmware}:.frozen"
        while not self._stopping:
            with self._log.open("ab") as log:
                run = [*command(), "-X", HEAP, str(SHIM / "start.py")]
                self._process = subprocess.Popen(run, env=variables, stdout=log, stderr=log, cwd=self.folder)
            ended = self._process.wait()
            if ended not in (RESET, -signal.SIGALRM):
                return
            with self._log.open("a") as log:
                log.write(f"-- reset by {'the watchdog' if ended == -signal.SIGALRM else 'itself'}\n")
