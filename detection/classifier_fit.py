"""Learn the signatures of known faults from alarms whose cause is known, and when to say "unknown" instead."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

import msgspec
import numpy as np

from detection.classifier import UNKNOWN, Classifier, Signature, direction, lead
from detection.errors import FitError
from detection.explain import Findings
from detection.kinds import Kind
from detection.rows import Floats

# One alarm in twenty may be refused for looking too little like its own fault; and when a fault is named, that may be
# wrong once in twenty times. Both are measured on sources that were left out.
_TOLERATED = 0.05
# Less than half of the alarm is explained by a signature when the cosine between the two is below √½. A few alarms that
# happen to agree must not make the limit narrower than 15 degrees: the next machine is a little different.
_LEAST_LIKENESS, _NARROWEST = 0.7071, 0.9659
# Shares are told to a ten-thousandth and values to a hundredth of a deviation: a smaller lead is nothing to go by.
_LEAST_LEAD = 0.01
# To be left out once, a fault must have been seen at two machines or in two recordings.
_MIN_SOURCES = 2
# No lead is as large: the two directions would have to be opposite.
_NEVER = 2.0


class Case(msgspec.Struct, frozen=True):
    """One alarm whose `fault` is known, at one `source`: a machine or recording, always left out as a whole."""

    fault: str
    source: str
    found: Findings


class _Look(NamedTuple):
    """A case as a direction (k), and what it weighs: all cases of one source together weigh 1."""

    fault: str
    kind: Kind
    source: str
    at: Floats
    weight: float


_Key = tuple[str, Kind]
_Trial = tuple[_Look, dict[str, float]]
"""A case, and what the other sources' signatures say: fault → likeness, the largest first."""


def fit_classifier(cases: Sequence[Case], channels: Sequence[str]) -> Classifier:
    """Learn from alarms of at least two sources per fault.

    A kind of alarm that only one source of a fault has shown gets no signature: nobody can say how another would look.

    Raises: FitError naming the faults that were seen too few times.
    """
    looks = _looks(cases, channels)
    sources = _sources(looks)
    known = {key for key, names in sources.items() if len(names) >= _MIN_SOURCES}
    if lacking := sorted({fault for fault, _ in sources} - {fault for fault, _ in known}):
        few = ", ".join(lacking)
        raise FitError(f"each fault must have been seen {_MIN_SOURCES} times in the same way; not so: {few}")
    looks = [look for look in looks if (look.fault, look.kind) in known]
    directions, trials = _directions(looks), _left_out(looks)
    least = {key: _least_likeness(trials, key) for key in directions}
    classifier = Classifier(
        channels=list(channels),
        signatures=[
            Signature(
                fault=fault,
                kind=kind,
                direction=at.tolist(),
                least_likeness=least[fault, kind],
                least_lead=_least_lead(trials, (fault, kind), least[fault, kind]),
                sources=len(sources[fault, kind]),
            )
            for (fault, kind), at in sorted(directions.items())
        ],
    )
    classifier.check()
    return classifier


def _looks(cases: Sequence[Case], channels: Sequence[str]) -> list[_Look]:
    pointed = [(case, direction(case.found.kind, case.found.sensors, channels)) for case in cases]
    kept = [(case, at) for case, at in pointed if at.any()]
    if not kept:
        raise FitError("there is no alarm to learn from in which any of these channels has a part")
    if any(case.fault in {"", UNKNOWN} for case, _ in kept):
        raise FitError(f"a fault must have a name, and {UNKNOWN!r} is what is said when there is none")
    keys = [(case.fault, case.found.kind, case.source) for case, _ in kept]
    counts = Counter(keys)
    looks = [_Look(*key, at, 1 / counts[key]) for key, (_, at) in zip(keys, kept, strict=True)]
    # In an order of their own, so that sums come out the same to the bit however the cases were given.
    return sorted(looks, key=lambda look: (look.fault, look.kind, look.source, look.at.tolist()))


def _sources(looks: Sequence[_Look]) -> dict[_Key, set[str]]:
    out: dict[_Key, set[str]] = {}
    for look in looks:
        out.setdefault((look.fault, look.kind), set()).add(look.source)
    return out


def _directions(looks: Sequence[_Look]) -> dict[_Key, Floats]:
    """The mean direction of each fault and kind; every source counts the same, however many alarms it gave."""
    sums: dict[_Key, Floats] = {}
    for look in looks:
        key = (look.fault, look.kind)
        sums[key] = sums.get(key, np.zeros(len(look.at))) + look.weight * look.at
    lengths = {key: float(np.linalg.norm(total)) for key, total in sums.items()}
    return {key: total / lengths[key] for key, total in sums.items() if lengths[key] > 0}


def _left_out(looks: Sequence[_Look]) -> list[_Trial]:
    """Each case with its likeness to the faults as the other sources know them."""
    out = []
    for source in sorted({look.source for look in looks}):
        others = _directions([look for look in looks if look.source != source])
        for look in looks:
            if look.source == source:
                likeness = {fault: float(look.at @ at) for (fault, kind), at in others.items() if kind is look.kind}
                out.append((look, dict(sorted(likeness.items(), key=lambda item: -item[1]))))
    return out


def _least_likeness(trials: Sequence[_Trial], key: _Key) -> float:
    """The likeness that all but one in twenty of a fault's left-out alarms reach, and at least half of the alarm."""
    own = sorted(
        (likeness[look.fault], look.weight)
        for look, likeness in trials
        if (look.fault, look.kind) == key and look.fault in likeness
    )
    below = np.cumsum([weight for _, weight in own]) / sum(weight for _, weight in own)
    reached = own[int(np.searchsorted(below, _TOLERATED))][0]
    return round(min(max(reached, _LEAST_LIKENESS), _NARROWEST), 4)


def _least_lead(trials: Sequence[_Trial], key: _Key, least_likeness: float) -> float:
    """The smallest lead at which the fault, when it is named for a left-out alarm, is wrong once in twenty at most."""
    fault, kind = key
    named = []
    for look, likeness in trials:
        nearest = next(iter(likeness), None)
        if look.kind is kind and nearest == fault and likeness[fault] >= least_likeness:
            named.append((lead(list(likeness.values())), look))
    named.sort(key=lambda pair: -pair[0])
    best, wrong, total, sources = _NEVER, 0.0, 0.0, set[str]()
    for place, (ahead, look) in enumerate(named, start=1):
        wrong, total = wrong + look.weight * (look.fault != fault), total + look.weight
        sources.add(look.source)
        if wrong <= _TOLERATED * total and len(sources) >= _MIN_SOURCES:
            best = 0.0 if place == len(named) else ahead
    return math.ceil(10_000 * min(max(best, _LEAST_LEAD), _NEVER)) / 10_000
