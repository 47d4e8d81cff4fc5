"""What a cell says as a number, whichever decimal sign the logger writes."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np

from detection.rows import Floats

# How loggers write "nothing"; all in lower case.
_NOTHING = frozenset({"", "-", "--", "?", ".", "na", "n/a", "#n/a", "nan", "null", "none", "nil", "missing"})
# Groups of three: 1.234,5 where the comma is the decimal sign, 1,234.5 where the point is.
_GROUPED = {
    ",": re.compile(r"[-+]?\d{1,3}(?:\.\d{3})+(?:,\d+)?"),
    ".": re.compile(r"[-+]?\d{1,3}(?:,\d{3})+(?:\.\d+)?"),
}

# Larger than anything that is measured: what a logger writes for "nothing", such as 1.7e308; its square is infinite.
_ABSURD = 1e100


def says_nothing(cell: str) -> bool:
    """Is this a value that is missing?"""
    return cell.strip().lower() in _NOTHING


def number(cell: str, decimal: str) -> float | None:
    """The number that the cell says, NaN for one that is missing or absurd, None when it is no number."""
    text = cell.strip()
    if text.lower() in _NOTHING:
        return float("nan")
    if _GROUPED[decimal].fullmatch(text):
        text = text.replace("." if decimal == "," else ",", "")
    try:
        value = float(text.replace(",", ".") if decimal == "," else text)
    except ValueError:
        return None
    return value if abs(value) < _ABSURD else float("nan")


def floats(cells: Sequence[str], decimal: str) -> tuple[Floats, list[str]]:
    """The numbers of a column (n), NaN where there is none; and the cells that are neither number nor missing."""
    try:
        if decimal == ",":
            values = np.array([float(cell.replace(",", ".")) for cell in cells])
        else:
            values = np.array(list(map(float, cells)))
    except ValueError:
        read = [number(cell, decimal) for cell in cells]
        strange = [cell for cell, value in zip(cells, read, strict=True) if value is None]
        return np.array([np.nan if value is None else value for value in read]), strange
    values[np.abs(values) >= _ABSURD] = np.nan
    return values, []
