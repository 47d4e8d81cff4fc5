"""A traced message is stamped at every station: one hop per message and deed, however many blocks it came in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from contract.events import HopEvent, Readings


def hops(
    events: Iterable[Readings],
    station: str,
    did: str,
    at_ms: float,
    detail: Mapping[str, str | float | int] | None = None,
) -> list[HopEvent]:
    """One hop for each traced message among `events`, with the number of its readings."""
    counts: dict[tuple[str, str, str], int] = {}
    for event in events:
        if event.traced:
            key = (event.correlation_id, event.site, event.device)
            counts[key] = counts.get(key, 0) + len(event)
    return [
        HopEvent(
            site=site,
            device=device,
            correlation_id=correlation_id,
            station=station,
            at_ms=at_ms,
            readings=readings,
            did=did,
            detail=dict(detail or {}),
        )
        for (correlation_id, site, device), readings in counts.items()
    ]
