"""How far a machine's inputs are from what its model learned, channel by channel and hour by hour."""

from __future__ import annotations

from typing import Annotated

import msgspec
from fastapi import APIRouter, Query, Request, Response

from cloud.api.answers import answer
from cloud.api.dependencies import Reader, services_of
from cloud.api.problems import not_found
from cloud.api.times import iso
from contract.events import ChannelDrift, InputDriftedEvent
from contract.names import check_device, check_site

router = APIRouter(prefix="/api/v1", tags=["devices"])

# A month, as long as hours are kept.
_MOST = 31 * 24


class DriftHour(msgspec.Struct, frozen=True, kw_only=True):
    """An hour of healthy running, compared with what the model of this `version` learned from."""

    from_ms: int
    from_: str = msgspec.field(name="from")
    through_ms: int
    through: str
    readings: int
    version: str
    channels: list[ChannelDrift]


class DriftPage(msgspec.Struct):
    """The last hours, newest first."""

    items: list[DriftHour]


@router.get("/devices/{site}/{device}/drift")
async def drift(
    request: Request, site: str, device: str, _: Reader, limit: Annotated[int, Query(ge=1, le=_MOST)] = 24
) -> Response:
    """The hours that were compared, newest first: those in which the machine ran, healthy, for half an hour or more."""
    parts = services_of(request).parts
    known = await parts.devices.get(check_site(site), check_device(device))
    if known is None or known.revoked_at_ms is not None:
        raise not_found(f"no device {site}/{device} is in service")
    hours = await parts.lookups.drift(site, device, limit)
    return answer(DriftPage(items=[_view(hour) for hour in hours]))


def _view(hour: InputDriftedEvent) -> DriftHour:
    return DriftHour(
        from_ms=hour.from_ms,
        from_=iso(hour.from_ms),
        through_ms=hour.through_ms,
        through=iso(hour.through_ms),
        readings=hour.readings,
        version=hour.model.version,
        channels=hour.channels,
    )
