"""Where the recordings are that are read and never shipped: RONDA_DATASETS, else `../shared/datasets`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

_BESIDE = Path(__file__).parent.parent.parent.parent / "shared" / "datasets"


def datasets() -> Path:
    """The folder of recordings. Skips the test where there is none, which CI turns into a failure."""
    folder = Path(os.environ.get("RONDA_DATASETS") or _BESIDE)
    if not folder.is_dir():
        pytest.skip(f"no recordings at {folder}: set RONDA_DATASETS to the folder that has skab/")
    return folder


def recording(name: str) -> Path:
    """One file below it, such as `skab/valve2/0.csv`."""
    file = datasets() / name
    if not file.is_file():
        pytest.skip(f"no recording {file}: set RONDA_DATASETS to the folder that has it")
    return file
