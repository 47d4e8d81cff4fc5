"""What the API shows: plain shapes, the same over HTTP and on the stream. Times as epoch ms and as ISO 8601."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from cloud.api.shapes import shown
from cloud.api.times import iso
from cloud.storage.reading_blocks import ReadingBlock
from cloud.storage.verdicts import Judgement, Verdict
from contract.events import (
    AlarmKind,
    AnomalyDetectedEvent,
    Cause,
    Delivery,
    HopEvent,
    NotificationSentEvent,
    Phase,
    Readings,
    SensorEvidence,
    Severity,
    Window,
)
from contract.identity import reading_id


class ModelView(msgspec.Struct, frozen=True, kw_only=True):
    """Which model judged."""

    name: str
    version: str
    run_id: str


class NotificationView(msgspec.Struct, frozen=True, kw_only=True):
    """Who was told, or why not, with the other side's receipt."""

    id: str
    anomaly_id: str
    site: str
    device: str
    decision: str
    channel: str
    delivery: Delivery
    receipt: str
    recipients: list[str]
    message_id: str | None
    suppressed: int
    correlation_id: str
    sent_at_ms: int
    sent_at: str


class VerdictView(msgspec.Struct, frozen=True, kw_only=True):
    """What a person says of an alarm: `true`, `false` or `planned` work; `cause` is the fault that was found."""

    verdict: Judgement
    cause: str | None
    comment: str | None
    given_by: str
    given_at_ms: int
    given_at: str
    model_version: str


class AnomalyView(msgspec.Struct, frozen=True, kw_only=True):
    """A machine outside its normal state. `sensors` by contribution, largest first; `sentence` by language.

    `question` is what was answered with yes; `cause` is what it looks like, a help beside the evidence. `new_level`: it
    is over because the machine settled elsewhere; `begun_anew`: because its judgement began anew, as `sentence` says.
    """

    id: str
    site: str
    device: str
    phase: Phase
    active: bool
    severity: Severity
    score: float
    peak_score: float
    since_ms: int
    since: str
    raised_at_ms: int
    raised_at: str
    detected_at_ms: int
    detected_at: str
    cleared_at_ms: int | None
    cleared_at: str | None
    sensors: list[SensorEvidence]
    sentence: dict[str, str]
    model: ModelView
    correlation_id: str
    kind: AlarmKind = AlarmKind.ANOMALY
    question: str = "level"
    cause: Cause | None = None
    new_level: bool = False
    begun_anew: bool = False
    replayed: bool = False
    notification: NotificationView | None = None
    verdict: VerdictView | None = None


class AnomalyDetail(AnomalyView, frozen=True, kw_only=True):
    """The same with everything that belongs to it."""

    notifications: list[NotificationView]
    window: Window


class HopView(msgspec.Struct, frozen=True, kw_only=True):
    """A traced message passed a station."""

    correlation_id: str
    site: str
    device: str
    station: str
    did: str
    at_ms: float
    at: str
    readings: int
    detail: dict[str, str | float | int]


class ReadingView(msgspec.Struct, frozen=True, kw_only=True):
    """One device at one instant."""

    site: str
    device: str
    measured_at_ms: int
    measured_at: str
    received_at_ms: int
    values: dict[str, float]
    boot: str
    seq: int
    correlation_id: str
    replayed: bool


def anomaly_view(
    raised: AnomalyDetectedEvent,
    latest: AnomalyDetectedEvent,
    notification: NotificationView | None = None,
    verdict: Verdict | None = None,
) -> AnomalyView:
    """An anomaly as it stands, with the evidence frozen when it was raised."""
    told = latest if latest.begun_anew else raised
    return shown(
        AnomalyView,
        raised,
        id=raised.anomaly_id,
        phase=latest.phase,
        active=latest.phase is not Phase.CLEARED,
        severity=latest.severity,
        score=latest.score,
        peak_score=latest.peak_score,
        raised_at_ms=raised.measured_at_ms,
        cleared_at_ms=latest.measured_at_ms if latest.phase is Phase.CLEARED else None,
        sensors=raised.evidence.sensors,
        sentence=told.evidence.sentence,
        model=shown(ModelView, raised.model),
        question=raised.evidence.question,
        cause=raised.evidence.cause,
        new_level=latest.new_level,
        begun_anew=latest.begun_anew,
        notification=notification,
        verdict=None if verdict is None else verdict_view(verdict),
    )


def verdict_view(verdict: Verdict) -> VerdictView:
    """A verdict."""
    return shown(VerdictView, verdict)


def anomaly_detail(
    raised: AnomalyDetectedEvent,
    latest: AnomalyDetectedEvent,
    receipts: Sequence[NotificationSentEvent],
    verdict: Verdict | None = None,
) -> AnomalyDetail:
    """The same with the window of readings and every receipt."""
    view = anomaly_view(raised, latest, last_notification(receipts), verdict)
    notifications = [notification_view(receipt) for receipt in receipts]
    return AnomalyDetail(**msgspec.structs.asdict(view), notifications=notifications, window=raised.evidence.window)


def notification_view(event: NotificationSentEvent) -> NotificationView:
    """A receipt."""
    return shown(NotificationView, event, id=event.id)


def hop_view(event: HopEvent) -> HopView:
    """A hop."""
    return shown(HopView, event)


def newest_reading(block: Readings) -> ReadingView:
    """The last row of a block."""
    row = len(block) - 1
    return ReadingView(
        site=block.site,
        device=block.device,
        measured_at_ms=block.measured_at_ms[row],
        measured_at=iso(block.measured_at_ms[row]),
        received_at_ms=block.received_at_ms,
        values={metric: column[row] for metric, column in zip(block.metrics, block.values, strict=True)},
        boot=block.boot,
        seq=block.seq[row],
        correlation_id=block.correlation_id_of(row),
        replayed=block.replayed,
    )


def reading_views(block: ReadingBlock) -> list[ReadingView]:
    """Stored readings, in the block's order."""
    return [_reading_view(block, row) for row in range(len(block))]


def _reading_view(block: ReadingBlock, row: int) -> ReadingView:
    boot, seq = block.boot[row], block.seq[row]
    columns = zip(block.metrics, block.values, strict=True)
    return ReadingView(
        site=block.site,
        device=block.device,
        measured_at_ms=block.measured_at_ms[row],
        measured_at=iso(block.measured_at_ms[row]),
        received_at_ms=block.received_at_ms[row],
        values={metric: value for metric, column in columns if (value := column[row]) is not None},
        boot=boot,
        seq=seq,
        correlation_id=block.request_id[row] or reading_id(block.site, block.device, boot, seq),
        replayed=block.replayed[row],
    )


def last_notification(events: Sequence[NotificationSentEvent]) -> NotificationView | None:
    """The newest receipt that reached somebody, else the newest."""
    delivered = [event for event in events if event.delivery is Delivery.DELIVERED]
    newest = max(delivered or events, key=lambda event: event.sent_at_ms, default=None)
    return None if newest is None else notification_view(newest)
