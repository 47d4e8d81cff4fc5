"""SKAB: the agent's own detector beside what the field uses, in one run and by one protocol.

On the recordings below the folder (the development ones, of which `other/2` has faulty rows among those learned from).
Figures in brackets are 95 % intervals by bootstrap over whole recordings. Always read F1 with FAR.
"""

from __future__ import annotations

import argparse
import os
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks import skab
from benchmarks.intervals import resampled
from benchmarks.machine import described
from benchmarks.skab_peers import PEERS, RECIPES
from benchmarks.skab_protocol import PROFILES, Counts, Flags, Recording, counted, pooled, recordings
from detection.detector import Detector

BESIDE = Path(__file__).parent.parent.parent / "shared" / "datasets"
OURS = "ours"
# Prefixes of a recording's judged rows whose flags must not change when later rows are known.
CUTS = (0.05, 1 / 3, 2 / 3)
# Rows judged one at a time: a forest needs some milliseconds for each.
SINGLES = 100


class Subject(NamedTuple):
    """A detector under test.

    `flagged`: a recording and how many of its judged rows → flags, and change points where it names them itself.
    `fitted`: a recording → what judges its rows from one place to another, for the clock.
    """

    name: str
    flagged: Callable[[Recording, int], tuple[Flags, Flags | None]]
    fitted: Callable[[Recording], Callable[[int, int], object]]


class Row(NamedTuple):
    """A line of the table: the counts of each recording, whether no later row changed a verdict, CPU µs a row."""

    name: str
    counts: list[Counts]
    causal: bool
    batched_us: float
    single_us: float


def main(arguments: Sequence[str]) -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks skab", description=__doc__)
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RONDA_DATASETS") or BESIDE) / "skab")
    parser.add_argument("--per-file", action="store_true", help="also our own detector on each recording")
    parser.add_argument("--over-mqtt", action="store_true", help="compare with the agent's flags, row by row")
    options = parser.parse_args(arguments)
    files = recordings(options.data)
    if not files:
        raise SystemExit(f"no recordings below {options.data}: set RONDA_DATASETS to the folder that has skab/")
    print(f"{described()}\nSKAB, {len(files)} recordings: {', '.join(file.name for file in files)}")
    if options.over_mqtt:
        # The whole product is imported for this alone.
        from benchmarks.skab_over_mqtt import compare

        compare(files)
        return
    print("goals of these recordings, ours: F1 ≥ 0.88, FAR ≤ 12 %, NAB standard ≥ 45\n")
    print("".join(f"{title:<{width}}" for title, width in COLUMNS))
    for subject in (Subject(OURS, _ours, _our_steps), *map(_peer, PEERS)):
        found = measured(subject, files)
        print(_told(found), flush=True)
        if options.per_file and subject.name == OURS:
            _print_files(files, found.counts)
    print(f"\npeers' recipes: {RECIPES}")


def measured(subject: Subject, files: Sequence[Recording]) -> Row:
    """The detector on each of the recordings."""
    verdicts = [subject.flagged(file, len(file.test)) for file in files]
    return Row(
        subject.name,
        [counted(file, *verdict) for file, verdict in zip(files, verdicts, strict=True)],
        all(_is_causal(subject, file, *verdict) for file, verdict in zip(files, verdicts, strict=True)),
        statistics.median(_batched_us(subject, file) for file in files),
        _single_us(subject, files[0]),
    )


def _is_causal(subject: Subject, file: Recording, flags: Flags, changes: Flags | None) -> bool:
    for cut in (int(share * len(file.test)) for share in CUTS):
        earlier, turned = subject.flagged(file, cut)
        if not np.array_equal(earlier, flags[:cut]):
            return False
        if changes is not None and turned is not None and not np.array_equal(turned, changes[:cut]):
            return False
    return True


def _batched_us(subject: Subject, file: Recording) -> float:
    judge, count = subject.fitted(file), len(file.test)
    began = time.process_time()
    judge(0, count)
    return (time.process_time() - began) / count * 1e6


def _single_us(subject: Subject, file: Recording) -> float:
    judge = subject.fitted(file)
    began = time.process_time()
    for row in range(SINGLES):
        judge(row, row + 1)
    return (time.process_time() - began) / SINGLES * 1e6


def _ours(file: Recording, count: int) -> tuple[Flags, Flags | None]:
    _, flags, changes = skab.fit(file.train).score(file.test.iloc[:count])
    return flags == 1, changes == 1


def _our_steps(file: Recording) -> Callable[[int, int], object]:
    detector, metrics = Detector(skab.fit(file.train).model), list(file.test.columns)
    times = np.round(file.seconds * 1000).astype(np.int64)
    values = file.test.to_numpy(dtype=float).T
    return lambda begin, end: detector.process(times[begin:end], values[:, begin:end], metrics)


def _peer(name: str) -> Subject:
    def flagged(file: Recording, count: int) -> tuple[Flags, None]:
        return PEERS[name](file.train.to_numpy())(file.test.to_numpy()[:count]), None

    def fitted(file: Recording) -> Callable[[int, int], object]:
        judge, values = PEERS[name](file.train.to_numpy()), file.test.to_numpy()
        return lambda begin, end: judge(values[begin:end])

    return Subject(name, flagged, fitted)


FIGURES: Sequence[tuple[str, Callable[[Counts], float], str]] = (
    ("F1", lambda counts: counts.f1, "{:.3f}"),
    ("FAR %", lambda counts: counts.far, "{:.1f}"),
    ("MAR %", lambda counts: counts.mar, "{:.1f}"),
    *((f"NAB {name}", partial(Counts.nab_score, profile=name), "{:.1f}") for name in PROFILES),
)
COLUMNS = (
    ("", 18),
    *((title, 24) for title, _, _ in FIGURES),
    ("causal", 8),
    ("µs a row, batched", 19),
    ("one by one", 10),
)


def _told(row: Row) -> str:
    cells = [row.name]
    for _, figure, form in FIGURES:
        of = resampled(row.counts, partial(_pooled, figure))
        cells.append(f"{form.format(of.value)} [{form.format(of.low)}, {form.format(of.high)}]")
    cells += ["yes" if row.causal else "no", f"{row.batched_us:,.1f}", f"{row.single_us:,.0f}"]
    return "".join(f"{cell:<{width}}" for cell, (_, width) in zip(cells, COLUMNS, strict=True))


def _pooled(figure: Callable[[Counts], float], counts: Sequence[Counts]) -> float:
    return figure(pooled(counts))


def _print_files(files: Sequence[Recording], counts: Sequence[Counts]) -> None:
    for file, one in zip(files, counts, strict=True):
        print(f"    {file.name:<14}" + "  ".join(f"{title} {form.format(of(one))}" for title, of, form in FIGURES))
