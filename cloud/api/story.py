"""The story of one correlation id: measured times where the message was traced, else what the stored rows say."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TypeVar

import msgspec

from cloud.api.ports import Address
from cloud.api.times import iso
from cloud.api.views import AnomalyView, NotificationView, notification_view
from cloud.storage.anomalies import AnomalyRecord
from cloud.storage.quarantine import Rejection
from cloud.storage.reading_blocks import ReadingRow
from contract.events import Delivery, HopEvent, NotificationSentEvent
from contract.identity import parse_reading_id

# The way of a reading; stations that are passed in the same millisecond are told in this order.
STATIONS = (
    "device",
    "broker",
    "acquisition",
    "validation",
    "historian",
    "anomaly-detection",
    "notification",
    "mail",
    "webhook",
)
_ORDER = {station: place for place, station in enumerate(STATIONS)}
_Placed = TypeVar("_Placed", HopEvent, ReadingRow, Rejection, AnomalyRecord, NotificationSentEvent, AnomalyView)


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A station was passed. `after_ms`: since the step before; `since_start_ms`: since the first."""

    station: str
    did: str
    at_ms: float
    at: str
    after_ms: float
    since_start_ms: float
    readings: int
    detail: dict[str, str | float | int]


class RefusedReading(msgspec.Struct, frozen=True, kw_only=True):
    """A reading that went into quarantine."""

    stage: str
    reason: str
    detail: str
    boot: str | None
    seq: int | None
    received_at_ms: int


class Story(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about one id. `traced`: the times are measured at each station, not taken from the stored rows.

    An id is told of one device; `also_used_by` names the others that chose the same (`site/device`).
    """

    correlation_id: str
    site: str
    device: str
    traced: bool
    readings: int
    first_measured_at_ms: int | None
    last_measured_at_ms: int | None
    steps: list[Step]
    anomalies: list[AnomalyView]
    notifications: list[NotificationView]
    rejected: list[RefusedReading]
    also_used_by: list[str] = []


class _Passed(msgspec.Struct, frozen=True):
    station: str
    did: str
    at_ms: float
    readings: int
    detail: dict[str, str | float | int] = {}


def begun(correlation_id: str, site: str, device: str) -> Story:
    """The story of a reading that was asked for and of which nobody has heard yet."""
    return Story(
        correlation_id=correlation_id,
        site=site,
        device=device,
        traced=True,
        readings=0,
        first_measured_at_ms=None,
        last_measured_at_ms=None,
        steps=[],
        anomalies=[],
        notifications=[],
        rejected=[],
    )


def tell_story(
    correlation_id: str,
    hops: Sequence[HopEvent],
    rows: Sequence[ReadingRow],
    refused: Sequence[Rejection],
    anomalies: Sequence[AnomalyRecord],
    receipts: Sequence[NotificationSentEvent],
    shown: Sequence[AnomalyView],
) -> Story:
    """Put together what each store knows of one device; at least one of them knows something.

    The device whose reading the id spells, where there is one; else the first that is known to have used it.
    """
    known = [(each.site, each.device) for store in (hops, rows, refused, anomalies, receipts) for each in store]
    spelled = parse_reading_id(correlation_id)
    owner = spelled[:2] if spelled is not None and spelled[:2] in known else known[0]
    hops, rows, refused = _of(owner, hops), _of(owner, rows), _of(owner, refused)
    anomalies, receipts, shown = _of(owner, anomalies), _of(owner, receipts), _of(owner, shown)
    passed = [_Passed(hop.station, hop.did, hop.at_ms, hop.readings, hop.detail) for hop in hops]
    measured = [row.measured_at_ms for row in rows]
    return Story(
        correlation_id=correlation_id,
        site=owner[0],
        device=owner[1],
        traced=bool(hops),
        readings=len(rows),
        first_measured_at_ms=min(measured, default=None),
        last_measured_at_ms=max(measured, default=None),
        steps=_steps([*_broker_first(passed), *_unmeasured(passed, rows, refused, anomalies, receipts)]),
        anomalies=shown,
        notifications=[notification_view(receipt) for receipt in receipts],
        rejected=[_refused(rejection) for rejection in refused],
        also_used_by=["/".join(other) for other in dict.fromkeys(known) if other != owner],
    )


def _of(owner: Address, some: Sequence[_Placed]) -> list[_Placed]:
    return [each for each in some if (each.site, each.device) == owner]


def _broker_first(passed: Sequence[_Passed]) -> list[_Passed]:
    """The device hears that the broker has its reading when the chain may have heard of the reading already.

    The broker had it at the latest when acquisition did, so that is the time told then.
    """
    heard_ms = min((each.at_ms for each in passed if each.station == "acquisition"), default=math.inf)
    return [
        msgspec.structs.replace(each, at_ms=heard_ms) if each.station == "broker" and each.at_ms > heard_ms else each
        for each in passed
    ]


def _unmeasured(
    passed: Sequence[_Passed],
    rows: Sequence[ReadingRow],
    refused: Sequence[Rejection],
    anomalies: Sequence[AnomalyRecord],
    receipts: Sequence[NotificationSentEvent],
) -> list[_Passed]:
    """What the rows tell of stations that nobody stamped: an untraced message, or a hop that is on its way."""
    told = _told_by_receipts(receipts)
    told += [_Passed(each.stage, "rejected", each.received_at_ms, 1, {"reason": each.reason}) for each in refused]
    if not passed:
        told += [_Passed("anomaly-detection", each.event.phase, each.detected_at_ms, 1) for each in anomalies]
        if rows:
            told.append(_Passed("device", "measured", rows[-1].measured_at_ms, len(rows)))
            told.append(_Passed("acquisition", "received", rows[-1].received_at_ms, len(rows)))
    stamped = {(each.station, each.did) for each in passed}
    return [each for each in told if (each.station, each.did) not in stamped]


def _told_by_receipts(receipts: Sequence[NotificationSentEvent]) -> list[_Passed]:
    told = []
    for each in receipts:
        told.append(_Passed("notification", "decided", each.sent_at_ms, 1, {"reason": each.decision}))
        if each.delivery is not Delivery.SUPPRESSED:
            told.append(_Passed(each.channel, str(each.delivery), each.sent_at_ms, 1, {"receipt": each.receipt}))
    return told


def _steps(passed: Sequence[_Passed]) -> list[Step]:
    ordered = sorted(passed, key=lambda each: (each.at_ms, _ORDER.get(each.station, len(_ORDER))))
    steps: list[Step] = []
    for each in ordered:
        before = steps[-1].at_ms if steps else each.at_ms
        steps.append(
            Step(
                station=each.station,
                did=each.did,
                at_ms=each.at_ms,
                at=iso(each.at_ms),
                after_ms=round(each.at_ms - before, 3),
                since_start_ms=round(each.at_ms - ordered[0].at_ms, 3),
                readings=each.readings,
                detail=each.detail,
            )
        )
    return steps


def _refused(rejection: Rejection) -> RefusedReading:
    return RefusedReading(
        stage=rejection.stage,
        reason=rejection.reason,
        detail=rejection.detail,
        boot=rejection.boot,
        seq=rejection.seq,
        received_at_ms=rejection.received_at_ms,
    )
