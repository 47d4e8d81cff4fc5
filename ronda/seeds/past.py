"""Machines with a past: a week of minute readings each, what befell them, and what the detector said of it."""

from __future__ import annotations

import zlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from cloud.agents.assets import Asset, Position
from cloud.agents.evidence import anomaly_event
from cloud.agents.inputs import input_watch
from contract.events import AnomalyDetectedEvent, ModelPromotedEvent, ModelRef, ValidatedDataEvent
from contract.identity import digest_id
from detection.fit import fit
from detection.machine import Machine as Judge
from detection.model import sha256
from edge.faults import Fault, FaultKind
from edge.metrics import METRICS, NAMES, as_measured
from edge.pump import Pump

_DAY_S = 24 * 60 * 60
_DAYS = 7
_MINUTES_A_DAY = 24 * 60
READINGS = _DAYS * _MINUTES_A_DAY
WEEK_MS = _DAYS * _DAY_S * 1000
# No run in MLflow made these models, and they are not kept: only their checksum says what judged.
_VERSION = "seed"

Values = NDArray[np.float64]


class Event(NamedTuple):
    """A fault that begins `day` days into the week, grows for `grows_h` hours and is repaired after `lasts_h`."""

    kind: FaultKind
    day: float
    grows_h: float
    lasts_h: float

    def fault(self, start_s: int) -> Fault:
        """The fault of a week that begins at `start_s` (UTC epoch seconds)."""
        onset_s = start_s + self.day * _DAY_S
        return Fault(kind=self.kind, onset_s=onset_s, ramp_s=self.grows_h * 3600, end_s=onset_s + self.lasts_h * 3600)


class Machine(NamedTuple):
    """A machine, what befell it, and the second of each minute in which it measures."""

    site: str
    device: str
    second: int
    events: tuple[Event, ...] = ()

    def faults(self, start_s: int) -> list[Fault]:
        """What befell it in the week that begins at `start_s`."""
        return [event.fault(start_s) for event in self.events]


# A fault grows over hours, since what is measured once a minute is judged by means over twenty minutes.
MACHINES = (
    Machine("waterworks", "intake-1", 3, (Event(FaultKind.BEARING_WEAR, 3.5, 10, 20),)),
    Machine("waterworks", "intake-2", 11),
    Machine("waterworks", "booster-1", 17, (Event(FaultKind.CAVITATION, 5.1, 4, 6),)),
    Machine("dairy", "feed-1", 29, (Event(FaultKind.IMBALANCE, 2.4, 6, 9),)),
    Machine("dairy", "return-1", 37, (Event(FaultKind.BLOCKED_VALVE, 4.0, 3, 5),)),
    Machine("dairy", "cooling-1", 53),
)


class Past(NamedTuple):
    """A machine's week: a block of readings a day, and the lives of its anomalies in order."""

    blocks: list[ValidatedDataEvent]
    anomalies: list[AnomalyDetectedEvent]


def past_of(machine: Machine, end_ms: int, received_at_ms: int) -> Past:
    """The week up to `end_ms`, a midnight, by the emulator's mathematics and judged by the real detector."""
    blocks = list(_blocks(machine, end_ms, received_at_ms))
    return Past(blocks, list(_judged(machine, blocks)))


def _blocks(machine: Machine, end_ms: int, received_at_ms: int) -> Iterator[ValidatedDataEvent]:
    start_s = (end_ms - WEEK_MS) // 1000
    pump = Pump(zlib.crc32(f"{machine.site}/{machine.device}".encode()))
    faults = machine.faults(start_s)
    boot = digest_id(machine.site, machine.device, end_ms)[:16]
    for day in range(_DAYS):
        day_s = start_s + day * _DAY_S
        rows = as_measured(pump.rows(day_s, _DAY_S, faults)[machine.second :: 60])
        yield ValidatedDataEvent(
            site=machine.site,
            device=machine.device,
            boot=boot,
            received_at_ms=received_at_ms,
            metrics=list(NAMES),
            seq=list(range(day * _MINUTES_A_DAY, (day + 1) * _MINUTES_A_DAY)),
            measured_at_ms=[(day_s + machine.second + 60 * minute) * 1000 for minute in range(_MINUTES_A_DAY)],
            values=[list(column) for column in zip(*rows, strict=True)],
            replayed=True,
        )


def _judged(machine: Machine, blocks: Sequence[ValidatedDataEvent]) -> Iterator[AnomalyDetectedEvent]:
    """Learned from the first day, in which nothing happens; each event has the time of the reading that decided it."""
    first, *rest = blocks
    asset = _learned(machine, first)
    for block in rest:
        for change in asset.judge(block).changes:
            yield anomaly_event(asset, block, change, block.measured_at_ms[change.row])


def _learned(machine: Machine, block: ValidatedDataEvent) -> Asset:
    fitted = fit(np.array(block.values).T, block.measured_at_ms, block.metrics)
    checksum = sha256(fitted.model.to_bytes())
    promotion = ModelPromotedEvent(
        site=machine.site,
        device=machine.device,
        model=ModelRef(name=f"{machine.site}.{machine.device}", version=_VERSION, run_id="", sha256=checksum),
        artifact_uri="",
        data_hash=fitted.report.data_hash,
        trained_through_ms=block.measured_at_ms[-1],
        promoted_at_ms=block.measured_at_ms[-1],
    )
    units = {metric.name: metric.unit for metric in METRICS}
    judge = Judge.begun(fitted.model, device=machine.device, units=units)
    return Asset(promotion, judge, Position(promotion.trained_through_ms), input_watch(fitted.model))
