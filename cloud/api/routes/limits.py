"""The limits of a machine: what is set, and setting others."""

from __future__ import annotations

import logging

from fastapi import APIRouter, Request, Response

from cloud.api.answers import answer
from cloud.api.body import command, read_command
from cloud.api.dependencies import Reader, Registrar, services_of
from cloud.api.limiting import NewLimit, limit_views, limits_of
from cloud.api.ports import Parts
from cloud.api.problems import Problem, not_found
from contract.names import check_device, check_site
from contract.plausibility import Metric

log = logging.getLogger("ronda.api.limits")
router = APIRouter(prefix="/api/v1", tags=["devices"])

_PATH = "/devices/{site}/{device}/limits"
_BOUND = {"type": ["number", "null"]}
_LIMIT = {
    "type": "object",
    "required": ["metric"],
    "properties": {
        "metric": {"type": "string"},
        "low": _BOUND,
        "high": _BOUND,
        "severity": {"enum": ["warning", "critical"]},
        "label": {"type": "string"},
    },
}
_ZONES = {"type": "object", "required": ["metric", "class"], "properties": {"metric": {}, "class": {"type": "string"}}}
_STANDARD = {"type": "object", "required": ["iso20816"], "properties": {"iso20816": _ZONES}}
_SCHEMA = {"type": "array", "items": {"anyOf": [_LIMIT, _STANDARD]}}
_OPENAPI = {"requestBody": {"required": True, "content": {"application/json": {"schema": _SCHEMA}}}}


@router.get(_PATH)
async def limits(request: Request, site: str, device: str, _: Reader) -> Response:
    """The machine's limits, by metric, warnings first."""
    parts = services_of(request).parts
    metrics = await _metrics(parts, site, device)
    return answer(limit_views(await parts.limits.of(site, device), metrics or ()))


@router.put(_PATH, openapi_extra=_OPENAPI)
async def set_limits(request: Request, site: str, device: str, caller: Registrar) -> Response:
    """These limits and no others from now on: the detection looks every few seconds; an empty list takes all away."""
    wanted = command(await read_command(request), list[NewLimit])
    parts = services_of(request).parts
    metrics = await _metrics(parts, site, device)
    if metrics is None and wanted:
        raise Problem(409, "no_metrics", f"{site}/{device} has not said yet what it measures; set limits after that")
    await parts.limits.replace(site, device, limits_of(wanted, metrics or ()))
    fields = {"agent": "api", "site": site, "device": device, "subject": caller.subject, "limits": len(wanted)}
    log.info("limits.set", extra=fields)
    return answer(limit_views(await parts.limits.of(site, device), metrics or ()))


async def _metrics(parts: Parts, site: str, device: str) -> list[Metric] | None:
    """What the machine measures. Raises: Problem 404 when it is not in service."""
    known = await parts.devices.get(check_site(site), check_device(device))
    if known is None or known.revoked_at_ms is not None:
        raise not_found(f"no device {site}/{device} is in service")
    return known.metrics
