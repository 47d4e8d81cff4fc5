"""The machines: how they are, who joins, who leaves, and the account of what they sent."""

from __future__ import annotations

import logging
from typing import Annotated, Literal

import msgspec
from fastapi import APIRouter, Request, Response

from cloud.api.answers import answer
from cloud.api.body import command, read_command
from cloud.api.callers import Caller
from cloud.api.dependencies import Reader, Registrar, services_of
from cloud.api.idempotency import Key
from cloud.api.problems import Problem
from cloud.api.services import Services
from cloud.storage.reading_blocks import Ledger
from contract.names import check_device, check_site, is_metric
from contract.plausibility import Metric
from contract.telemetry import MAX_METRICS

log = logging.getLogger("ronda.api.devices")
router = APIRouter(prefix="/api/v1", tags=["devices"])


class NewMetric(msgspec.Struct, frozen=True, kw_only=True):
    """A metric to register; no limit where none is given."""

    name: str
    unit: str = ""
    low: float | None = None
    high: float | None = None


class NewDevice(msgspec.Struct, frozen=True, kw_only=True):
    """A machine to add; without metrics its first reading registers its own.

    `origin`: `replay` for a recording that is played. `learn_rows`: how many readings make its first model; None: the
    usual number.
    """

    site: str
    device: str
    metrics: list[NewMetric] | None = None
    origin: Literal["provisioned", "replay"] = "provisioned"
    learn_rows: Annotated[int, msgspec.Meta(ge=60, le=1_000_000)] | None = None


_METRIC = {"type": "object", "properties": {"name": {}, "unit": {}, "low": {}, "high": {}}, "required": ["name"]}
_PROPERTIES: dict[str, object] = {
    "site": {"type": "string"},
    "device": {"type": "string"},
    "metrics": {"type": "array", "items": _METRIC},
}
_PROPERTIES |= {"origin": {"enum": ["provisioned", "replay"]}, "learn_rows": {"type": "integer", "minimum": 60}}
_SCHEMA = {"type": "object", "required": ["site", "device"], "properties": _PROPERTIES}
_OPENAPI = {"requestBody": {"required": True, "content": {"application/json": {"schema": _SCHEMA}}}}


@router.get("/devices")
async def devices(request: Request, _: Reader, site: str | None = None, origin: str | None = None) -> Response:
    """The machines in service, worst state first: critical, warning, no_data, learning, healthy, off."""
    return answer({"items": await services_of(request).fleet.devices(site, origin)})


@router.post("/devices", status_code=201, openapi_extra=_OPENAPI)
async def add(request: Request, caller: Registrar, key: Key = None) -> Response:
    """Add a machine; the answer tells its MQTT `username` and `password`, this once.

    Who sends an `Idempotency-Key` can hear them again by sending the same once more.
    """
    body = await read_command(request)
    new = command(body, NewDevice)
    check_site(new.site)
    check_device(new.device)
    services = services_of(request)
    return await services.idempotency.once(request, caller, key, body, lambda: _add(services, new, caller))


async def _add(services: Services, new: NewDevice, caller: Caller) -> Response:
    username, password = await services.registration.add(
        new.site, new.device, new.origin, metrics=_metrics(new.metrics), learn_rows=new.learn_rows
    )
    _note("device.added", new.site, new.device, caller.subject)
    body = {"site": new.site, "device": new.device, "username": username, "password": password}
    return answer(body, 201, {"location": f"/api/v1/devices/{username}"})


@router.delete("/devices/{site}/{device}", status_code=204)
async def revoke(request: Request, site: str, device: str, caller: Registrar) -> Response:
    """Take a machine's credentials away; the broker lets it go, and what it stored stays."""
    await services_of(request).registration.revoke(check_site(site), check_device(device))
    _note("device.revoked", site, device, caller.subject)
    return Response(status_code=204)


@router.get("/ledger")
async def ledger(request: Request, _: Reader, site: str | None = None, device: str | None = None) -> Response:
    """Per machine: sent = stored + rejected + pending + lost; null where the machine does not count its readings."""
    every = await services_of(request).parts.readings.ledger()
    lines = [line for line in every if site in (None, line.site) and device in (None, line.device)]
    return answer({"items": [_account(line) for line in lines]})


def _account(line: Ledger) -> dict[str, object]:
    counted = "door" if line.sent is None else "device"
    return msgspec.structs.asdict(line) | {"counted": counted}


def _metrics(given: list[NewMetric] | None) -> list[Metric] | None:
    """Raises: Problem 422 for metrics that no reading could keep."""
    if given is None:
        return None
    names = [metric.name for metric in given]
    if not 1 <= len(names) <= MAX_METRICS or len(set(names)) < len(names):
        raise Problem(422, "wrong_shape", f"a device has 1 to {MAX_METRICS} metrics, each name once")
    if bad := next((name for name in names if not is_metric(name)), None):
        raise Problem(422, "bad_name", f"the metric name {bad[:80]!r} must be 1 to 64 printable characters")
    return [_metric(metric) for metric in given]


def _metric(given: NewMetric) -> Metric:
    # A limit that is not given stays the default itself: JSON has no infinity to store in its place.
    limits = {name: limit for name, limit in (("low", given.low), ("high", given.high)) if limit is not None}
    metric = Metric(name=given.name, unit=given.unit[:32], **limits)
    if metric.low >= metric.high:
        raise Problem(422, "wrong_shape", f"{given.name}: low must be below high")
    return metric


def _note(event: str, site: str, device: str, subject: str) -> None:
    log.info(event, extra={"agent": "api", "site": site, "device": device, "subject": subject})
