"""The chip's wasm under Node, the firmware's own driver on its bus, and the samples that come of it."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from firmware.generate import ESP32
from tests.support.installation import ROOT

WOKWI = ROOT / "wokwi"
DEFINITION = WOKWI / "vibration.chip.json"
HOST = Path(__file__).with_name("host.mjs")
ADDRESS = 0x68
FIFO_R_W = 0x74
SAMPLE_BYTES = 6
# What the firmware asks for unless it is configured otherwise.
RANGE_G = 8

Samples = NDArray[np.float64]
"""Shape (n, 3): g on each axis, a sample a millisecond."""


class Chip:
    """A chip after power-up. Time passes only when it is told to; `slide` moves a slider."""

    def __init__(self, host: subprocess.Popen[str]) -> None:
        self._host = host

    def do(self, *commands: list[Any]) -> list[Any]:
        """Let the host do these in one go; returns what each answers."""
        assert self._host.stdin is not None
        assert self._host.stdout is not None
        self._host.stdin.write(json.dumps(commands) + "\n")
        self._host.stdin.flush()
        line = self._host.stdout.readline()
        assert line, "the host ended; its error stands above"
        answers: list[Any] = json.loads(line)
        return answers

    def slide(self, **controls: float) -> None:
        """Move sliders to these positions."""
        self.do(*(["slide", name, value] for name, value in controls.items()))

    def wait(self, ms: float) -> None:
        """Let simulated time pass."""
        self.do(["pass", ms])

    def driver(self, address: int = ADDRESS) -> Any:
        """The firmware's own driver, on this chip's bus and this chip's time."""
        return _driver_module(self).Mpu6050(_Bus(self), address)

    def sampling(self, range_g: int = RANGE_G) -> Any:
        """The driver, started."""
        driver = self.driver()
        driver.start(range_g)
        return driver

    def seconds(self, count: int, lsb_per_g: int) -> Samples:
        """`count` seconds of samples from a sensor at work, emptied as often as the firmware does."""
        empty = [["pass", 40], ["read", ADDRESS, FIFO_R_W, 40 * SAMPLE_BYTES]]
        raw = "".join(part for _ in range(count) for part in self.do(*empty * 25) if part)
        return np.frombuffer(bytes.fromhex(raw), ">i2").reshape(-1, 3) / lsb_per_g


class _Bus:
    """`machine.I2C` as far as the driver uses it."""

    def __init__(self, chip: Chip) -> None:
        self._chip = chip

    def writeto_mem(self, address: int, register: int, data: bytes) -> None:
        if not self._chip.do(["write", address, [register, *data]])[0]:
            raise OSError(19)

    def readfrom_mem(self, address: int, register: int, size: int) -> bytes:
        answer = self._chip.do(["read", address, register, size])[0]
        if answer is None:
            raise OSError(19)
        return bytes.fromhex(answer)

    def readfrom_mem_into(self, address: int, register: int, room: memoryview) -> None:
        room[:] = self.readfrom_mem(address, register, len(room))


def build(target: Path) -> Path:
    """The chip, built as `make wokwi` does. Raises: CalledProcessError where it does not compile."""
    subprocess.run([WOKWI / "build.sh", target], check=True, timeout=60)
    return target


@contextmanager
def powered(binary: Path) -> Iterator[Chip]:
    """A chip in a simulation of its own."""
    with subprocess.Popen(
        ["node", HOST, binary, DEFINITION], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as host:
        try:
            yield Chip(host)
        finally:
            host.kill()


def _driver_module(chip: Chip) -> ModuleType:
    """The file that is shipped, with a clock that is the simulation's."""
    path = ESP32 / "lib" / "drivers" / "mpu6050.py"
    module = ModuleType("mpu6050")
    exec(compile(path.read_text(encoding="utf-8"), path, "exec"), module.__dict__)
    module.__dict__["time"] = SimpleNamespace(sleep_ms=chip.wait)
    return module


def features(window: Samples) -> tuple[float, ...]:
    """What the firmware makes of a window, by the definitions: RMS, of each axis, peak, crest."""
    moved = window - window.mean(axis=0)
    length = np.sqrt((moved**2).sum(axis=1))
    rms = float(np.sqrt((length**2).mean()))
    return rms, *moved.std(axis=0).tolist(), float(length.max()), float(length.max()) / rms
