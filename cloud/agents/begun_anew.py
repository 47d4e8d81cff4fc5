"""A machine that is judged anew: alarms that no watch goes on with are closed, and people are told why."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

import msgspec

from contract.events import AlarmKind, AnomalyDetectedEvent, Phase
from detection.machine import Machine

if TYPE_CHECKING:
    from cloud.agents.assets import Asset

_NOTE = {
    "en": "Closed because the judgement of this machine begins anew; what is still outside is raised again.",
    "pt": "Encerrado porque a avaliação desta máquina recomeça; o que ainda estiver fora é alertado de novo.",
}


def open_in(machine: Machine, *, resumed: bool) -> frozenset[AlarmKind]:
    """The kinds of alarm that `machine` goes on with; `resumed`: it goes on from a state that could be read.

    Whether one about its sensors is open a detector does not say: with a state it knows, without one there is none.
    """
    watches = {AlarmKind.LIMIT: machine.limits, AlarmKind.TREND: machine.trend, AlarmKind.ANOMALY: machine}
    found = {kind for kind, watch in watches.items() if watch is not None and watch.active}
    return frozenset(found | ({AlarmKind.SENSOR} if resumed else set()))


def closings(
    told: Iterable[AnomalyDetectedEvent], carried: Collection[AlarmKind], asset: Asset, now_ms: int
) -> list[AnomalyDetectedEvent]:
    """What ends the alarms in `told`, in the order they were told in, that are open and that nobody goes on with.

    `carried`: the kinds that `asset` does go on with; of several of such a kind that is the newest.
    """
    latest = {event.anomaly_id: event for event in told}
    # Who is not heard is not judged either: that ends when it speaks.
    still_open = [e for e in latest.values() if e.phase is not Phase.CLEARED and e.kind is not AlarmKind.SILENT]
    going_on = {event.kind: event.anomaly_id for event in still_open if event.kind in carried}
    return [_closing(event, asset, now_ms) for event in still_open if going_on.get(event.kind) != event.anomaly_id]


def _closing(event: AnomalyDetectedEvent, asset: Asset, now_ms: int) -> AnomalyDetectedEvent:
    """As of the last reading that was judged, so that a repeated start says the very same."""
    at = asset.position
    sentence = {
        language: f"{said} {_NOTE.get(language, _NOTE['en'])}" for language, said in event.evidence.sentence.items()
    }
    return msgspec.structs.replace(
        event,
        phase=Phase.CLEARED,
        measured_at_ms=max(at.measured_at_ms, event.measured_at_ms),
        detected_at_ms=now_ms,
        boot=at.boot or event.boot,
        seq=at.seq if at.boot else event.seq,
        model=asset.model,
        evidence=msgspec.structs.replace(event.evidence, sentence=sentence),
        begun_anew=True,
        traced=False,
    )
