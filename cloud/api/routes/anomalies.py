"""What was found and why, and the story behind it."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from cloud.api.answers import answer
from cloud.api.dependencies import Reader, services_of
from cloud.api.paging import bad_cursor
from cloud.api.ports import AnomalyFilter
from cloud.api.problems import not_found
from cloud.api.routes.readings import From, To
from cloud.api.story import begun
from cloud.api.times import parse_time
from contract.names import check_device, check_site, is_correlation_id

router = APIRouter(prefix="/api/v1", tags=["anomalies"])

# A serial is a bigint.
_DIGITS = 18


@router.get("/anomalies")
async def anomalies(
    request: Request,
    _: Reader,
    site: str | None = None,
    device: str | None = None,
    phase: Literal["raised", "updated", "cleared", "active"] | None = None,
    from_: From = None,
    to: To = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
    cursor: str | None = None,
) -> Response:
    """Newest first, with `next`. `from` and `to` are about the time of raising; `phase=active`: not cleared."""
    if cursor is not None and not (cursor.isascii() and cursor.isdigit() and len(cursor) <= _DIGITS):
        raise bad_cursor(cursor)
    wanted = AnomalyFilter(
        site=None if site is None else check_site(site),
        device=None if device is None else check_device(device),
        phase=phase,
        from_ms=parse_time(from_, "from"),
        to_ms=parse_time(to, "to"),
        before=None if cursor is None else int(cursor),
    )
    return answer(await services_of(request).history.anomalies(wanted, limit))


@router.get("/anomalies/{anomaly_id}")
async def anomaly(request: Request, anomaly_id: str, _: Reader) -> Response:
    """One, with its window of readings and every receipt."""
    known = is_correlation_id(anomaly_id)
    found = await services_of(request).history.anomaly(anomaly_id) if known else None
    if found is None:
        raise not_found(f"there is no anomaly {anomaly_id[:80]!r}")
    return answer(found)


@router.get("/trace/{correlation_id}")
async def trace(request: Request, correlation_id: str, _: Reader) -> Response:
    """The story of one correlation id, from the sensor to the e-mail: `steps` in order with their times."""
    request.state.correlation_id = correlation_id[:128]
    # What can be no id is known to nobody; the store is not asked, and could not even hold some of it.
    known = is_correlation_id(correlation_id)
    services = services_of(request)
    story = await services.history.trace(correlation_id) if known else None
    if story is None and (asked := services.demonstration.begun(correlation_id)):
        story = begun(correlation_id, *asked)
    if story is None:
        raise not_found(f"nothing is known of the correlation id {correlation_id[:128]!r} (yet)")
    return answer(story)
