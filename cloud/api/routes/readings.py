"""`GET /api/v1/readings`: what one machine measured, as rows or as columns for a chart."""

from __future__ import annotations

import asyncio
from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response

from cloud.api.answers import answer
from cloud.api.charts import DEFAULT_POINTS, MOST_ROWS, chart
from cloud.api.dependencies import Reader, services_of
from cloud.api.paging import reading_page
from cloud.api.problems import not_found
from cloud.api.times import parse_time
from contract.names import check_device, check_site

router = APIRouter(prefix="/api/v1/readings", tags=["readings"])

From = Annotated[str | None, Query(alias="from", description="ISO 8601 or epoch milliseconds")]
To = Annotated[str | None, Query(alias="to", description="ISO 8601 or epoch milliseconds, inclusive")]


@router.get("")
async def readings(
    request: Request,
    _: Reader,
    site: str,
    device: str,
    from_: From = None,
    to: To = None,
    limit: Annotated[int, Query(ge=1, le=10_000)] = 100,
    cursor: str | None = None,
    shape: Annotated[Literal["rows", "columns"], Query(alias="format")] = "rows",
    points: Annotated[int, Query(ge=3, le=20_000)] = DEFAULT_POINTS,
) -> Response:
    """Rows newest first with `next`; with `format=columns` a series per metric, oldest first, of at most `points`.

    Columns of a long or long past time are the lowest and highest values of its minutes or hours: `resolution`.
    """
    parts = services_of(request).parts
    from_ms, to_ms = parse_time(from_, "from"), parse_time(to, "to")
    known = await parts.devices.get(check_site(site), check_device(device))
    if known is None:
        raise not_found(f"there is no device {site}/{device}")
    if shape == "rows":
        return answer(await reading_page(parts.readings, site, device, from_ms, to_ms, cursor, limit))
    drawn = await parts.readings.drawn(site, device, from_ms=from_ms, to_ms=to_ms, points=points, most=MOST_ROWS)
    return answer(await asyncio.to_thread(chart, drawn, known.metrics or (), points))
