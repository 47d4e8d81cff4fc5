"""How is this file written? Separator, decimal sign and header, told from its first lines."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from ronda.trial import cells as numbers
from ronda.trial.errors import TrialError
from ronda.trial.times import TIME_OF_DAY, recognised

# Loggers and NumPy begin a remark with it.
COMMENT = "#"
# The comma last: where it is the decimal sign it stands in every line too.
_DELIMITERS = (";", "\t", "|", ",")
# Of the sample's lines so many must have the same number of cells.
_REGULAR = 0.8
_COMMA = re.compile(r"[-+]?\d+,\d+(?:[eE][-+]?\d+)?")
_POINT = re.compile(r"[-+]?\d+\.\d+(?:[eE][-+]?\d+)?")


class Dialect(NamedTuple):
    """How the file is written: `head_lines` of names and perhaps `units`, then data; `sample` holds its first rows."""

    delimiter: str
    decimal: str
    names: list[str]
    head_lines: int
    units: list[str]
    sample: list[list[str]]


def told(lines: Sequence[str]) -> Dialect:
    """The dialect of a file that begins with `lines`. Raises: TrialError when it is no table."""
    sound = [line for line in lines if line.strip() and not line.startswith(COMMENT)]
    if not sound:
        raise TrialError("the file holds no table")
    delimiter, width = _delimiter(sound)
    table = [row for row in csv.reader(sound, delimiter=delimiter) if len(row) == width]
    decimal = _decimal(table, delimiter)
    heads = _heads(table, decimal)
    names = _names(table[0] if heads else _commented(lines, delimiter, width), width)
    units = [cell.strip() for cell in table[1]] if heads > 1 else [""] * width
    return Dialect(delimiter, decimal, names, heads, units, table[heads:])


def _commented(lines: Sequence[str], delimiter: str, width: int) -> list[str]:
    """The names in a comment above the data, as NumPy writes them; none where no comment fits."""
    comments = (line.lstrip(f"{COMMENT} ") for line in lines if line.startswith(COMMENT))
    rows = [row for row in csv.reader(comments, delimiter=delimiter) if len(row) == width]
    return rows[-1] if rows else []


def _delimiter(lines: Sequence[str]) -> tuple[str, int]:
    for delimiter in _DELIMITERS:
        widths = Counter(len(row) for row in csv.reader(lines, delimiter=delimiter) if row)
        width, count = widths.most_common(1)[0]
        if width > 1 and count >= _REGULAR * widths.total():
            return delimiter, width
    if all(len(line.split()) == 1 for line in lines if line.strip()):
        raise TrialError("the file has one column; a time and at least one sensor are needed, or two sensors")
    raise TrialError("the rows are of different widths, or not separated by ; , | or tab: this is not one table")


def _decimal(table: Sequence[Sequence[str]], delimiter: str) -> str:
    if delimiter == ",":
        # Unless such cells stand in quotes, which is rare enough, the comma is taken.
        quoted = sum(bool(_COMMA.fullmatch(cell.strip())) for row in table for cell in row)
        return "," if quoted and not _points(table) else "."
    commas = sum(bool(_COMMA.fullmatch(cell.strip())) for row in table for cell in row)
    return "," if commas > _points(table) else "."


def _points(table: Sequence[Sequence[str]]) -> int:
    return sum(bool(_POINT.fullmatch(cell.strip())) for row in table for cell in row)


def _heads(table: Sequence[Sequence[str]], decimal: str) -> int:
    """How many of the first lines are names (1), or names and units (2): those in which nothing is a value."""
    values = [any(_is_value(cell, decimal) for cell in row) for row in table[:3]]
    if values[0] or not any(values):
        return 0 if values[0] else 1
    return 2 if values[:3] == [False, False, True] else 1


def _is_value(cell: str, decimal: str) -> bool:
    if numbers.says_nothing(cell):
        return False
    if numbers.number(cell, decimal) is not None or TIME_OF_DAY.fullmatch(cell.strip()):
        return True
    return recognised("", [cell], decimal) is not None


def _names(head: Sequence[str], width: int) -> list[str]:
    """One name for each column; what has none or another's gets a number."""
    names: list[str] = []
    for place in range(width):
        name = " ".join(head[place].split()) if head else ""
        name = name or f"column {place + 1}"
        copies = sum(other == name or other.startswith(f"{name} (") for other in names)
        names.append(f"{name} ({copies + 1})" if name in names else name)
    return names
