"""The chip built once, and powered for whoever wants one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.wokwi.chip import Chip, build, powered


@pytest.fixture(scope="session")
def binary(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The chip's wasm, from the sources as they are."""
    return build(tmp_path_factory.mktemp("wokwi") / "vibration.chip.wasm")


@pytest.fixture
def chip(binary: Path) -> Iterator[Chip]:
    """A chip just after power-up."""
    with powered(binary) as one:
        yield one
