"""What one message is about: everything a channel needs to write it, decided and frozen."""

from __future__ import annotations

from typing import Literal
from urllib.parse import quote

import msgspec

from cloud.notifications.decision import Decision, Policy
from contract.events import AnomalyDetectedEvent
from contract.identity import digest_id

Language = Literal["en", "pt"]

# In the mail and in the webhook's request alike: the id that `ronda trace` takes.
CORRELATION_HEADER = "X-Ronda-Correlation-Id"

# Not a setting: the same decision must give the same Message-ID after a restart with other settings.
_ID_DOMAIN = "notifications.ronda"


class Links(msgspec.Struct, frozen=True):
    """Where a reader goes next. `device` is a page; a mail scanner that opens it changes nothing."""

    device: str
    trace: str


class Locale(msgspec.Struct, frozen=True, kw_only=True):
    """The language of the words and the IANA time zone of the times, such as `America/Sao_Paulo`."""

    language: Language = "en"
    zone: str = "UTC"


class Notice(msgspec.Struct, frozen=True, kw_only=True):
    """One message to people about one event. `suppressed` counts what was held back since the last one."""

    event: AnomalyDetectedEvent
    decision: Decision
    policy: Policy
    suppressed: int
    links: Links
    locale: Locale
    message_id: str
    thread_id: str
    at_ms: int

    @property
    def correlation_id(self) -> str:
        """The id of the reading that it is about."""
        return self.event.correlation_id

    @property
    def sentence(self) -> str:
        """The evidence's one sentence in the reader's language, or in whichever it was made."""
        sentences = self.event.evidence.sentence
        return sentences.get(self.locale.language) or next(iter(sentences.values()), "")


def links_for(event: AnomalyDetectedEvent, base_url: str) -> Links:
    """The pages about `event` below `base_url`, such as `http://127.0.0.1:8000`."""
    base = base_url.rstrip("/")
    site, device, anomaly = (quote(part, safe="") for part in (event.site, event.device, event.anomaly_id))
    return Links(
        device=f"{base}/ui/device/{site}/{device}?anomaly={anomaly}",
        trace=f"{base}/api/v1/trace/{quote(event.correlation_id, safe='')}",
    )


def notice_for(
    event: AnomalyDetectedEvent,
    decision: Decision,
    *,
    policy: Policy,
    suppressed: int,
    base_url: str,
    locale: Locale,
    at_ms: int,
) -> Notice:
    """The message that `decision` asks for. Doing it twice gives the same Message-ID; one anomaly is one thread."""
    return Notice(
        event=event,
        decision=decision,
        policy=policy,
        suppressed=suppressed,
        links=links_for(event, base_url),
        locale=locale,
        message_id=f"<{digest_id(event.id, decision.reason)}@{_ID_DOMAIN}>",
        thread_id=f"<{digest_id(event.anomaly_id)}@{_ID_DOMAIN}>",
        at_ms=at_ms,
    )
