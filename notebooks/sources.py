"""The data that notebooks read and never ship: where it lies, and which bytes exactly it was."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).parent.parent


class DataMissingError(FileNotFoundError):
    """A data set is not there; says where it was looked for and what to do."""


def datasets(folder: str = "") -> Path:
    """The data folder: `folder`, else RONDA_DATASETS, else `../shared/datasets` beside the repository.

    Raises: DataMissingError where there is none.
    """
    found = Path(folder or os.environ.get("RONDA_DATASETS") or ROOT.parent / "shared" / "datasets")
    if not found.is_dir():
        raise DataMissingError(f"no data folder {found}: set RONDA_DATASETS to the folder that has skab/ and ai4i2020/")
    return found


def data_file(folder: Path, name: str) -> Path:
    """One file of it. Raises: DataMissingError."""
    file = folder / name
    if not file.is_file():
        raise DataMissingError(f"no data file {file}: set RONDA_DATASETS to a folder that has it")
    return file


def sha256(files: Sequence[Path], folder: Path) -> str:
    """The checksum of one file; of several, that of their names and checksums, so that renaming is a change as well."""
    digests = {file.relative_to(folder).as_posix(): hashlib.sha256(file.read_bytes()).hexdigest() for file in files}
    if len(digests) == 1:
        return next(iter(digests.values()))
    listed = "".join(f"{digest}  {name}\n" for name, digest in sorted(digests.items()))
    return hashlib.sha256(listed.encode()).hexdigest()
