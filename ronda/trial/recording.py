"""What was read, made ready to be judged: in the order of time, sensors only, and everything left out said."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, tzinfo
from pathlib import Path

import msgspec
import numpy as np

from detection.model import MAX_CHANNELS
from detection.rows import Floats, Ints
from ronda.trial import timeline
from ronda.trial.columns import Role, marks_changes, unit_in
from ronda.trial.errors import TrialError
from ronda.trial.intake import Intake, taken
from ronda.trial.said import Said, Value

# More cells than this that are no numbers: the column is something else than a sensor with a hiccup.
_MOST_STRANGE = 0.5
# Beyond these a list of oddities tells nobody anything.
_TOLD_COLUMNS = 5


class Recording(msgspec.Struct, frozen=True, kw_only=True):
    """n readings of k sensors: times (n, UTC epoch ms, rising), values (n, k; NaN where missing).

    `elapsed`: the times count from the beginning, for want of a date. `labels`: name → which rows (n) it calls faulty.
    `left_out`: column → why it is no sensor here. `notes`: what was done to the file that its owner should know.
    """

    name: str
    times: Ints
    values: Floats
    metrics: list[str]
    units: dict[str, str] = {}
    zone: tzinfo = UTC
    elapsed: bool = False
    labels: dict[str, Ints] = {}
    left_out: dict[str, Said] = {}
    notes: list[Said] = []

    @property
    def cadence_ms(self) -> int:
        """The usual time from one reading to the next."""
        return max(1, int(np.median(np.diff(self.times)))) if len(self.times) > 1 else 1

    @property
    def stretch(self) -> str | None:
        """The label that says for each row whether it is faulty, if there is one."""
        return next((name for name in self.labels if not marks_changes(name)), None)


def recorded(path: Path, *, now_ms: int) -> Recording:
    """Read a file. `now_ms` tells times in the future. Raises: TrialError saying what is wrong with the file."""
    intake = taken(path)
    try:
        return _arranged(path, intake, now_ms)
    except TrialError as error:
        raise TrialError(f"{path}: {error}") from error


def _arranged(path: Path, intake: Intake, now_ms: int) -> Recording:
    line = timeline.arranged(intake.times, len(intake.values), intake.plan.clock, now_ms)
    values = intake.values if line.order is None else intake.values[line.order]
    names = intake.names(Role.SENSOR)
    left_out = _left_out(intake, names, values)
    kept = [place for place, name in enumerate(names) if name not in left_out]
    if not kept:
        why = "; ".join(f"“{name}” {said}" for name, said in list(left_out.items())[:_TOLD_COLUMNS])
        raise TrialError(f"no column is a sensor: {why}")
    metrics = [names[place] for place in kept]
    return Recording(
        name=path.name,
        times=line.times,
        values=values if len(kept) == len(names) else values[:, kept],
        metrics=metrics,
        units=_units(intake, metrics),
        zone=intake.plan.clock.zone if intake.plan.clock else UTC,
        elapsed=line.elapsed,
        labels={name: _label(intake, place, line.order) for place, name in enumerate(intake.names(Role.LABEL))},
        left_out=left_out,
        notes=[*_notes(intake, left_out), *line.notes],
    )


def _label(intake: Intake, place: int, order: Ints | None) -> Ints:
    column = intake.labels[:, place].astype(np.int64)
    return column if order is None else column[order]


def _left_out(intake: Intake, names: list[str], values: Floats) -> dict[str, Said]:
    """Column → why it is not used as a sensor, in the file's order."""
    why = {name: Said("holds text") for name in intake.names(Role.TEXT)}
    why |= {name: Said("is a label, so it is kept out of sight") for name in intake.names(Role.LABEL)}
    for place, name in enumerate(names):
        said = _useless(intake, name, values[:, place])
        if said:
            why[name] = said
    kept = [name for name in names if name not in why]
    why |= {
        name: Said("is beyond the {most} sensors of one machine", {"most": MAX_CHANNELS})
        for name in kept[MAX_CHANNELS:]
    }
    return {name: why[name] for name in intake.dialect.names if name in why}


def _useless(intake: Intake, name: str, column: Floats) -> Said | None:
    spoken = column[~np.isnan(column)]
    if name in intake.strange and intake.strange[name].cells > _MOST_STRANGE * len(column):
        return Said("is mostly no numbers, such as “{example}”", {"example": intake.strange[name].example})
    if not spoken.size:
        return Said("is empty")
    if spoken.min() == spoken.max():
        return Said("never changes, it is always {value}", {"value": float(spoken[0])})
    steps = np.diff(spoken)
    if steps[0] != 0 and len(steps) > 1 and np.array_equal(steps, np.full(len(steps), steps[0])):
        return Said("only counts the rows")
    return None


def _units(intake: Intake, metrics: list[str]) -> dict[str, str]:
    head = dict(zip(intake.dialect.names, intake.dialect.units, strict=True))
    found = {name: head[name].strip("[]() ") or unit_in(name) for name in metrics}
    return {name: unit for name, unit in found.items() if unit}


def _notes(intake: Intake, left_out: dict[str, Said]) -> Iterator[Said]:
    if intake.cut:
        yield Said("The file goes on; only its first {rows} rows were read.", {"rows": len(intake.values)})
    if intake.ragged:
        yield Said("Rows with too few or too many cells, left out: {rows}.", {"rows": intake.ragged})
    for name, strange in list(intake.strange.items())[:_TOLD_COLUMNS]:
        if name not in left_out:
            values: dict[str, Value] = {"name": name, "count": strange.cells, "example": strange.example}
            yield Said(
                "Cells of “{name}” that are no numbers and count as missing: {count}, such as “{example}”.", values
            )
    clock = intake.plan.clock
    if clock is None:
        yield Said("There is no column with times, so each row counts as one second.")
    elif clock.elapsed:
        name = intake.dialect.names[intake.plan.times[0]]
        yield Said("“{name}” counts from the beginning of the recording; it was taken for the time.", {"name": name})
    elif clock.assumed:
        yield Said(
            "It is not certain which is day and which is month in these dates; day first unless AM or PM follows."
        )
