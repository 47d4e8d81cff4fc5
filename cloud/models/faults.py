"""Teach the fault classifier what people found: alarms that they confirmed and gave a cause."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import msgspec

from cloud.storage.verdicts import Confirmed
from contract.events import Evidence
from detection.classifier import Classifier
from detection.classifier_fit import Case, fit_classifier
from detection.errors import FitError
from detection.explain import Findings, Sensor
from detection.kinds import Kind

# Each fault a few times on each machine of a large site; the newest are how the machines are now.
NEWEST = 2_000
# What the classifier knows signatures of: the detector's own questions. A crossed limit has no direction.
_ASKED = frozenset({Kind.LEVEL, Kind.JUMP, Kind.ROUGHNESS})


class Taught(msgspec.Struct, frozen=True, kw_only=True):
    """A classifier, and how many alarms of each fault it was learned from, or were not yet enough."""

    classifier: Classifier
    learned: dict[str, int]
    left_out: dict[str, int]


def teach_faults(confirmed: Sequence[Confirmed]) -> Taught:
    """Learn from confirmed alarms; a fault that only one machine has shown waits for another one, and stops nobody.

    Raises: FitError saying what is missing, and how to add it.
    """
    cases = [_case(each) for each in confirmed if each.event.evidence.question in _ASKED]
    if not cases:
        raise FitError(
            "no alarm of this site was confirmed with a cause; say what was found with "
            "`ronda verdict ALERT true --cause bearing_wear`"
        )
    ready = _seen_twice(cases)
    if not ready:
        shown = ", ".join(
            f"{fault} ({count})" for fault, count in sorted(Counter(case.fault for case in cases).items())
        )
        raise FitError(
            "no fault was shown in the same way by two machines yet, so none can be told from the machine that had it; "
            f"confirmed so far: {shown}"
        )
    taught = [case for case in cases if case.fault in ready]
    channels = sorted({sensor.name for case in taught for sensor in case.found.sensors})
    return Taught(
        classifier=fit_classifier(taught, channels),
        learned=dict(Counter(case.fault for case in taught)),
        left_out=dict(Counter(case.fault for case in cases if case.fault not in ready)),
    )


def findings_of(evidence: Evidence) -> Findings:
    """What the detector found, from the evidence that was frozen when the alarm was raised."""
    return Findings(
        kind=Kind(evidence.question),
        sensors=[Sensor(**msgspec.structs.asdict(sensor)) for sensor in evidence.sensors],
        window_ms=[],
        window={},
    )


def _seen_twice(cases: Sequence[Case]) -> set[str]:
    """The faults that two machines have shown in the same way."""
    shown = {(case.fault, case.found.kind, case.source) for case in cases}
    machines = Counter((fault, kind) for fault, kind, _ in shown)
    return {fault for (fault, _), count in machines.items() if count > 1}


def _case(confirmed: Confirmed) -> Case:
    event = confirmed.event
    return Case(fault=confirmed.cause, source=f"{event.site}/{event.device}", found=findings_of(event.evidence))
