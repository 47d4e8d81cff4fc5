"""Notebooks as they are kept in git: sources only, written in one way, so that a difference is a change of the text."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

_METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
# What a cell may say about itself: its part in the notebook, and its picture's name and description.
_CELL_METADATA = ("alt", "picture", "tags")


def cleaned(text: str) -> str:
    """The notebook without outputs, execution counts and whatever else an editor left in it; keys sorted."""
    notebook = json.loads(text)
    cells = [_cell(cell, number) for number, cell in enumerate(notebook["cells"])]
    kept = {"cells": cells, "metadata": _METADATA, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(kept, indent=1, sort_keys=True, ensure_ascii=False) + "\n"


def source_sha256(file: Path) -> str:
    """The checksum of a notebook's sources: what a rendered copy was made of."""
    return hashlib.sha256(cleaned(file.read_text(encoding="utf-8")).encode()).hexdigest()


def _cell(cell: dict[str, Any], number: int) -> dict[str, Any]:
    source = cell["source"] if isinstance(cell["source"], str) else "".join(cell["source"])
    kept: dict[str, Any] = {
        "cell_type": cell["cell_type"],
        "id": f"cell-{number:02d}",
        "metadata": {key: cell["metadata"][key] for key in _CELL_METADATA if key in cell["metadata"]},
        "source": source.splitlines(keepends=True),
    }
    return kept | {"execution_count": None, "outputs": []} if cell["cell_type"] == "code" else kept
