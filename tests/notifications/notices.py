"""Notices as the notifier makes them, for the tests of what is written and sent."""

from __future__ import annotations

from cloud.notifications.decision import Decision, Policy, Why
from cloud.notifications.notice import Language, Locale, Notice, notice_for
from contract.events import AnomalyDetectedEvent
from tests.support.anomalies import RAISED_AT_MS, anomaly

BASE_URL = "http://127.0.0.1:8000"


def notice(
    event: AnomalyDetectedEvent | None = None,
    *,
    language: Language = "en",
    zone: str = "America/Sao_Paulo",
    why: Why = Why.FIRST,
    suppressed: int = 0,
) -> Notice:
    """A message about `event`, by default the critical vibration of plant-1/pump-07."""
    return notice_for(
        event or anomaly(),
        Decision(send=True, reason=why),
        policy=Policy(),
        suppressed=suppressed,
        base_url=BASE_URL,
        locale=Locale(language=language, zone=zone),
        at_ms=RAISED_AT_MS + 100,
    )
