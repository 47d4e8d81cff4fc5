"""Reads the rows of a file block by block into arrays: what a large file needs is its numbers, and nothing else."""

from __future__ import annotations

import csv
import itertools
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from detection.rows import Floats, Ints
from ronda.trial import cells as numbers
from ronda.trial.columns import Plan, Role, planned
from ronda.trial.dialect import COMMENT, Dialect, told
from ronda.trial.errors import TrialError
from ronda.trial.source import SAMPLE_BYTES, opened
from ronda.trial.stack import Stack

_BLOCK = 8192
# 400 MB of numbers: what a laptop holds beside everything else. Reading ends there, and that is said.
MAX_NUMBERS = 50_000_000
# A table with more columns than this is turned on its side.
_MAX_COLUMNS = 4096
# Beyond this share of rows of another width, the file is no table.
_MAX_RAGGED = 0.1
_HEALTHY_WORDS = frozenset({"normal", "ok", "healthy", "good", "no", "false", "n", "f", "running", "run"})


class Strange(NamedTuple):
    """Cells of a sensor that are neither number nor missing."""

    cells: int
    example: str


class Intake(NamedTuple):
    """The file as read. `times` (n; None: it has none), `values` (n, sensors), `labels` (n, labels: 1 is faulty),
    the rows left out because they are of another width, and whether the file goes on beyond what was read.
    """

    dialect: Dialect
    plan: Plan
    times: Ints | None
    values: Floats
    labels: Floats
    strange: dict[str, Strange]
    ragged: int
    cut: bool

    def names(self, role: Role) -> list[str]:
        """The columns with this role, in the file's order."""
        return [name for name, its in zip(self.dialect.names, self.plan.roles, strict=True) if its is role]


def taken(path: Path, max_numbers: int = MAX_NUMBERS) -> Intake:
    """Read the file. Raises: TrialError saying what is wrong with it."""
    try:
        with opened(path) as text:
            dialect = _dialect(text.read(SAMPLE_BYTES))
        with opened(path) as text:
            return _Reader(dialect, planned(dialect)).read(csv.reader(text, delimiter=dialect.delimiter), max_numbers)
    except csv.Error as error:
        raise TrialError(f"{path}: this cannot be read as a table ({error})") from error
    except TrialError as error:
        raise error if str(error).startswith(str(path)) else TrialError(f"{path}: {error}") from error


def _dialect(sample: str) -> Dialect:
    lines = sample.splitlines()
    # The last line of a full sample is cut somewhere.
    if len(sample) >= SAMPLE_BYTES and len(lines) > 1:
        lines.pop()
    dialect = told(lines)
    if len(dialect.names) > _MAX_COLUMNS:
        raise TrialError(f"{len(dialect.names):,} columns are too many; a row is a moment, a column a sensor")
    if not dialect.sample:
        raise TrialError("there is a header and no row below it")
    return dialect


class _Reader:
    """Turns blocks of rows into columns of numbers, and counts what does not fit."""

    def __init__(self, dialect: Dialect, plan: Plan) -> None:
        self._dialect, self._plan = dialect, plan
        self._sensors = [place for place, role in enumerate(plan.roles) if role is Role.SENSOR]
        self._labels = [place for place, role in enumerate(plan.roles) if role is Role.LABEL]
        self._strange: Counter[str] = Counter()
        self._examples: dict[str, str] = {}
        self._ragged = 0

    def read(self, rows: Iterator[list[str]], max_numbers: int) -> Intake:
        """All rows, or the first that hold `max_numbers`."""
        if not self._sensors:
            raise TrialError("no column holds numbers; at least one sensor is needed")
        values, labels = Stack(len(self._sensors)), Stack(len(self._labels))
        times: list[Ints] = []
        most, cut = max_numbers // len(self._sensors), False
        for block in self._blocks(rows):
            columns = list(zip(*block, strict=True))
            values.add(np.column_stack([self._numbers(place, columns[place]) for place in self._sensors]))
            if self._labels:
                labels.add(np.column_stack([_faulty(columns[place]) for place in self._labels]))
            times += self._times(columns)
            if cut := len(values) >= most:
                break
        self._check(len(values))
        stamps = np.concatenate(times) if times else None
        strange = {name: Strange(count, self._examples[name]) for name, count in self._strange.items()}
        return Intake(self._dialect, self._plan, stamps, values.rows(), labels.rows(), strange, self._ragged, cut)

    def _blocks(self, rows: Iterator[list[str]]) -> Iterator[list[list[str]]]:
        width, heads = len(self._dialect.names), self._dialect.head_lines
        rows = (row for row in rows if row and not row[0].startswith(COMMENT) and any(row))
        # What stands before the table is of another width, as in the sample.
        rows = itertools.dropwhile(lambda row: len(row) != width, rows)
        rows = itertools.islice(rows, heads, None)
        while block := list(itertools.islice(rows, _BLOCK)):
            sound = [row for row in block if len(row) == width]
            self._ragged += len(block) - len(sound)
            if sound:
                yield sound

    def _numbers(self, place: int, cells: Sequence[str]) -> Floats:
        values, strange = numbers.floats(cells, self._dialect.decimal)
        if strange:
            name = self._dialect.names[place]
            self._strange[name] += len(strange)
            self._examples.setdefault(name, strange[0].strip()[:40])
        return values

    def _times(self, columns: Sequence[Sequence[str]]) -> list[Ints]:
        plan = self._plan
        if plan.clock is None:
            return []
        if len(plan.times) == 1:
            return [plan.clock.read(columns[plan.times[0]])]
        return [plan.clock.read([" ".join(cells) for cells in zip(*(columns[at] for at in plan.times), strict=True)])]

    def _check(self, rows: int) -> None:
        if not rows:
            raise TrialError("there is no row of data")
        if self._ragged > _MAX_RAGGED * (rows + self._ragged):
            raise TrialError(
                f"{self._ragged:,} of {rows + self._ragged:,} rows do not have the {len(self._dialect.names)} cells "
                "of the others: this is not one table"
            )


def _faulty(cells: Sequence[str]) -> Floats:
    """1 where the label says that something is wrong: a number other than 0, or a word other than "normal"."""
    known = {cell: _is_faulty(cell) for cell in set(cells)}
    return np.array([known[cell] for cell in cells], dtype=np.float64)


def _is_faulty(cell: str) -> bool:
    value = numbers.number(cell, ".")
    if value is None:
        return cell.strip().lower() not in _HEALTHY_WORDS
    return bool(np.isfinite(value)) and value != 0
