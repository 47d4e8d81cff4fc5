"""Which column is what: the time, a sensor, a label that is kept out of sight, or nothing to learn from."""

from __future__ import annotations

import enum
import re
from collections.abc import Sequence
from typing import NamedTuple

from ronda.trial import cells as numbers
from ronda.trial.dialect import Dialect
from ronda.trial.times import TIME_OF_DAY, TimeText, recognised

# What people call a column that says what is to be found. Used as a sensor, it would "find" everything.
_LABEL = re.compile(
    r"(?:is|has|machine|y)?(?:anomal(?:y|ies|ous)|changepoints?|labels?|faults?|faulty|failures?|outliers?|attacks?"
    r"|target|groundtruth|normalattack|faulttype|faultlabel|anomalylabel|labelanomaly|classlabel)(?:flag|label|id)?"
)
_CHANGEPOINT = re.compile(r"changepoints?")
_UNIT = re.compile(r".*[^\s(\[]\s*[\[(]\s*([^\])\[(]{1,12}?)\s*[\])]")


class Role(enum.Enum):
    """What a column is used for."""

    TIME = enum.auto()
    SENSOR = enum.auto()
    LABEL = enum.auto()
    TEXT = enum.auto()


class Plan(NamedTuple):
    """Each column's role; `times` are the places of the one that tells the time, or of a date and a time of day."""

    roles: list[Role]
    times: list[int]
    clock: TimeText | None


def planned(dialect: Dialect) -> Plan:
    """What each column is used for, by its name (labels) and by what stands in it (all else)."""
    columns = list(zip(*dialect.sample, strict=True)) or [()] * len(dialect.names)
    places, clock = _time(dialect, columns)
    roles = [
        Role.TIME if place in places else _role(name, columns[place], dialect.decimal)
        for place, name in enumerate(dialect.names)
    ]
    return Plan(roles, places, clock)


def is_label(name: str) -> bool:
    """Does the column tell what is to be found?"""
    return bool(_LABEL.fullmatch(_plain(name)))


def marks_changes(name: str) -> bool:
    """Does it only mark the moments at which something begins or ends?"""
    return bool(_CHANGEPOINT.fullmatch(_plain(name)))


def unit_in(name: str) -> str:
    """The unit that stands in brackets at the end of a name, such as `Pressure [bar]`."""
    found = _UNIT.fullmatch(name)
    return found[1] if found else ""


def _plain(name: str) -> str:
    return re.sub(r"[\W_]", "", name).lower()


def _time(dialect: Dialect, columns: Sequence[Sequence[str]]) -> tuple[list[int], TimeText | None]:
    days: list[int] = []
    for place, name in enumerate(dialect.names):
        clock = None if is_label(name) else recognised(name, columns[place], dialect.decimal)
        if clock is not None and not clock.whole_days:
            return [place], clock
        if clock is not None:
            days.append(place)
    if not days:
        return [], None
    hours = [place for place, cells in enumerate(columns) if _tells_hours(cells)]
    places = [days[0], hours[0]] if hours else [days[0]]
    joined = [" ".join(row[place].strip() for place in places) for row in dialect.sample]
    return places, recognised("", joined, dialect.decimal)


def _tells_hours(cells: Sequence[str]) -> bool:
    return bool(cells) and all(TIME_OF_DAY.fullmatch(cell.strip()) for cell in cells)


def _role(name: str, cells: Sequence[str], decimal: str) -> Role:
    if is_label(name):
        return Role.LABEL
    spoken = [cell for cell in cells if not numbers.says_nothing(cell)]
    if spoken and all(numbers.number(cell, decimal) is None for cell in spoken):
        return Role.TEXT
    return Role.SENSOR
