"""What people say of alarms: was it right, and what was found?"""

from __future__ import annotations

import logging
import re
from typing import Annotated

import msgspec
from fastapi import APIRouter, Request, Response

from cloud.api.answers import answer
from cloud.api.body import command, read_command
from cloud.api.dependencies import Judge, services_of
from cloud.api.model_views import Judged, precision_view
from cloud.api.problems import Problem, not_found
from cloud.api.services import Services
from cloud.api.views import verdict_view
from cloud.storage.anomalies import AnomalyRecord
from cloud.storage.verdicts import Judgement, Precision, Verdict
from contract.names import is_correlation_id

log = logging.getLogger("ronda.api.verdicts")
router = APIRouter(prefix="/api/v1", tags=["anomalies"])

_CAUSE = re.compile(r"[a-z][a-z0-9_]{0,63}")
# What the classifier says when it knows none: nobody finds it at a machine.
_NO_CAUSE = "unknown"


class NewVerdict(msgspec.Struct, frozen=True, kw_only=True):
    """A person's word on an alarm."""

    verdict: Judgement
    cause: str | None = None
    comment: Annotated[str, msgspec.Meta(max_length=2000, pattern=r"^[^\x00]*\Z")] | None = None


_PROPERTIES = {
    "verdict": {"enum": [each.value for each in Judgement]},
    "cause": {"type": ["string", "null"], "pattern": f"^{_CAUSE.pattern}$", "description": "only of a true alarm"},
    "comment": {"type": ["string", "null"], "maxLength": 2000},
}
_SCHEMA = {"type": "object", "required": ["verdict"], "properties": _PROPERTIES}
_OPENAPI = {"requestBody": {"required": True, "content": {"application/json": {"schema": _SCHEMA}}}}


@router.post("/anomalies/{anomaly_id}/verdict", openapi_extra=_OPENAPI)
async def give(request: Request, anomaly_id: str, caller: Judge) -> Response:
    """Say that an alarm was `true` (with the fault that was found, where it is known), `false`, or `planned` work.

    The last word counts. What is `false` is learned as healthy by the next model; all else of an alarm is left out.
    """
    new = command(await read_command(request), NewVerdict)
    _check_cause(new)
    services = services_of(request)
    record = await _known(services, anomaly_id)
    verdict = Verdict(
        anomaly_id=anomaly_id,
        site=record.site,
        device=record.device,
        verdict=new.verdict,
        cause=new.cause,
        comment=new.comment,
        given_by=caller.subject,
        given_at_ms=int(services.parts.clock_ms()),
        model_version=record.event.model.version,
    )
    await services.parts.verdicts.give(verdict)
    log.info("verdict.given", extra=_about(record, caller.subject) | {"verdict": str(new.verdict)})
    return answer(await _judged(services, verdict))


@router.delete("/anomalies/{anomaly_id}/verdict", status_code=204)
async def take_back(request: Request, anomaly_id: str, caller: Judge) -> Response:
    """Nobody judged this alarm after all."""
    services = services_of(request)
    record = await _known(services, anomaly_id)
    if not await services.parts.verdicts.take_back(anomaly_id):
        raise not_found(f"nobody has judged the anomaly {anomaly_id}")
    log.info("verdict.taken_back", extra=_about(record, caller.subject))
    return Response(status_code=204)


async def _judged(services: Services, verdict: Verdict) -> Judged:
    precisions = await services.parts.verdicts.precision(verdict.site, verdict.device)
    precision = precisions.get((verdict.site, verdict.device, verdict.model_version), Precision())
    return Judged(
        anomaly_id=verdict.anomaly_id,
        site=verdict.site,
        device=verdict.device,
        verdict=verdict_view(verdict),
        precision=precision_view(precision),
    )


async def _known(services: Services, anomaly_id: str) -> AnomalyRecord:
    record = await services.parts.anomalies.get(anomaly_id) if is_correlation_id(anomaly_id) else None
    if record is None:
        raise not_found(f"there is no anomaly {anomaly_id[:80]!r}")
    return record


def _check_cause(new: NewVerdict) -> None:
    if new.cause is None:
        return
    if new.verdict is not Judgement.TRUE:
        raise Problem(422, "wrong_shape", f"a cause is found where an alarm was true; this one is {new.verdict}")
    if not _CAUSE.fullmatch(new.cause) or new.cause == _NO_CAUSE:
        detail = (
            f"the cause {new.cause[:80]!r} must be a fault's code, such as bearing_wear; leave out what is not known"
        )
        raise Problem(422, "bad_name", detail)


def _about(record: AnomalyRecord, subject: str) -> dict[str, str]:
    where = {"site": record.site, "device": record.device, "anomaly_id": record.anomaly_id}
    return {"agent": "api", "subject": subject} | where
