"""A device for each test that wants one, ended with the test."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from firmware.micropython import command
from tests.firmware.esp32 import Esp32

Make = Callable[..., Esp32]


@pytest.fixture(scope="session", autouse=True)
def micropython() -> list[str]:
    """MicroPython, fetched before the first test's stopwatch runs. Fails with what is missing."""
    return command()


@pytest.fixture
def make_device(tmp_path: Path) -> Iterator[Make]:
    """Makes devices; their plug is pulled at the end."""
    made: list[Esp32] = []

    def make(site: str, device: str, **options: object) -> Esp32:
        made.append(Esp32(tmp_path / f"device-{len(made)}", site, device, **options))  # type: ignore[arg-type]
        return made[-1]

    yield make
    for device in made:
        device.stop()
