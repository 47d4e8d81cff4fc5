"""The ranges outside which a machine's sensors cannot measure: what decides whether a reading can be true."""

from __future__ import annotations

import logging
import math
from collections.abc import Sequence
from typing import Annotated

import msgspec
from fastapi import APIRouter, Request, Response
from msgspec import UNSET, UnsetType

from cloud.api.answers import answer
from cloud.api.body import command, read_command
from cloud.api.dependencies import Reader, Registrar, services_of
from cloud.api.problems import Problem, not_found
from cloud.storage.devices import DeviceRecord
from contract.names import check_device, check_site, is_metric
from contract.plausibility import Metric
from contract.telemetry import MAX_METRICS

log = logging.getLogger("ronda.api.ranges")
router = APIRouter(prefix="/api/v1", tags=["devices"])

_PATH = "/devices/{site}/{device}/metrics"
_BOUND = {"type": ["number", "null"]}
_CHANGE = {
    "type": "object",
    "required": ["name"],
    "properties": {"name": {"type": "string"}, "unit": {"type": "string"}, "low": _BOUND, "high": _BOUND},
}
_SCHEMA = {"type": "array", "items": _CHANGE}
_OPENAPI = {"requestBody": {"required": True, "content": {"application/json": {"schema": _SCHEMA}}}}


class MetricChange(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is to be otherwise about one metric; what is left out stays, and null takes a bound away."""

    name: str
    unit: Annotated[str, msgspec.Meta(max_length=32)] | UnsetType = UNSET
    low: float | UnsetType | None = UNSET
    high: float | UnsetType | None = UNSET


class MetricPage(msgspec.Struct, frozen=True, kw_only=True):
    """What a machine measures, in the order of its stored values."""

    items: list[Metric]


@router.get(_PATH)
async def metrics(request: Request, site: str, device: str, _: Reader) -> Response:
    """Unit and range of each metric; a reading outside of a range is refused."""
    known = await _known(request, site, device)
    return answer(MetricPage(items=known.metrics or []))


@router.patch(_PATH, openapi_extra=_OPENAPI)
async def change(request: Request, site: str, device: str, caller: Registrar) -> Response:
    """Give these metrics another unit and range, the others stay; a new name is a new sensor. In force within seconds.

    What was refused before stays in the quarantine until it is replayed.
    """
    wanted = command(await read_command(request), list[MetricChange])
    changes = changed((await _known(request, site, device)).metrics or (), wanted)
    services = services_of(request)
    kept = await services.parts.devices.change_metrics(site, device, changes)
    services.registration.forget(site, device)
    fields = {"agent": "api", "site": site, "device": device, "subject": caller.subject, "metrics": len(changes)}
    log.info("metrics.changed", extra=fields)
    return answer(MetricPage(items=list(kept or ())))


def changed(known: Sequence[Metric], wanted: Sequence[MetricChange]) -> list[Metric]:
    """The metrics as they are to be. Raises: Problem 422 for one that no reading could keep."""
    now = {metric.name: metric for metric in known}
    new = [_changed(now.get(each.name, Metric(name=each.name)), each) for each in wanted]
    names = {*now, *(metric.name for metric in new)}
    if len(names) > MAX_METRICS:
        raise Problem(422, "wrong_shape", f"a device has at most {MAX_METRICS} metrics, this would be {len(names)}")
    return new


def _changed(metric: Metric, wanted: MetricChange) -> Metric:
    if not is_metric(metric.name):
        raise Problem(422, "bad_name", f"the metric name {metric.name[:80]!r} must be 1 to 64 printable characters")
    low = metric.low if wanted.low is UNSET else wanted.low
    high = metric.high if wanted.high is UNSET else wanted.high
    # A bound that is not there stays the default itself: JSON has no infinity to store in its place.
    bounds = {name: each for name, each in (("low", low), ("high", high)) if each is not None and math.isfinite(each)}
    now = Metric(name=metric.name, unit=metric.unit if wanted.unit is UNSET else wanted.unit, **bounds)
    if now.low >= now.high:
        raise Problem(422, "wrong_shape", f"{now.name}: low {now.low:g} must be below high {now.high:g}")
    return now


async def _known(request: Request, site: str, device: str) -> DeviceRecord:
    """Raises: Problem 404 when it is not in service."""
    known = await services_of(request).parts.devices.get(check_site(site), check_device(device))
    if known is None or known.revoked_at_ms is not None:
        raise not_found(f"no device {site}/{device} is in service")
    return known
