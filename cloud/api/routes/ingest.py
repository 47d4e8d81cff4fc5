"""`POST /api/v1/ingest`: readings over HTTP."""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from fastapi import APIRouter, Query, Request, Response

from cloud.api.answers import answer
from cloud.api.arrivals import STORED_WITHIN_S, Conflict, Settled
from cloud.api.body import MAX_REQUEST_BYTES, read_json
from cloud.api.dependencies import Sender, services_of
from cloud.api.ingestion import Checked
from cloud.api.problems import Problem

router = APIRouter(prefix="/api/v1", tags=["readings"])

_MESSAGE: dict[str, Any] = {
    "type": "object",
    "required": ["site", "device"],
    "example": {
        "site": "plant-1",
        "device": "pump-07",
        "boot": "9f2c41d07be3a655",
        "seq": 17,
        "ts": 1763800000123,
        "values": {"vibration_de_rms_g": 0.21, "temperature_c": 61.2},
    },
}
_BODY = {"anyOf": [_MESSAGE, {"type": "array", "items": {"type": "object"}}]}
_OPENAPI = {"requestBody": {"required": True, "content": {"application/json": {"schema": _BODY}}}}


@router.post("/ingest", status_code=202, openapi_extra=_OPENAPI)
async def ingest(
    request: Request, caller: Sender, wait: Annotated[Literal["stored"] | None, Query()] = None
) -> Response:
    """Take one telemetry message, or a list of them: what a device says, with its `site` and `device`.

    202 once the broker has all of it; with `wait=stored` 201 once the store has. All of a request is taken, or none.
    Sending the same again is safe without an `Idempotency-Key`: a reading is itself by its boot and number, or by what
    it says, and repeats are absorbed.
    """
    services = services_of(request)
    try:
        checked = await services.ingestion.check(await read_json(request, MAX_REQUEST_BYTES), caller)
    except Problem:
        services.measures.readings.labels("refused").inc()
        raise
    if len(checked.correlation_ids) == 1:
        request.state.correlation_id = checked.correlation_ids[0]
    body = {"accepted": len(checked.readings), "correlation_ids": checked.correlation_ids}
    if wait is None:
        await services.ingestion.publish(checked)
        services.measures.readings.labels("accepted").inc(len(checked.readings))
        return answer(body, 202)
    with services.arrivals.expect(checked.readings) as expected:
        await services.ingestion.publish(checked)
        settled = await services.arrivals.settled(expected)
    services.measures.readings.labels("accepted").inc(len(checked.readings))
    _check(settled, checked)
    return answer(body, 201)


def _check(settled: Settled, checked: Checked) -> None:
    """Raises: Problem 409, 422 or 504 unless every reading is stored."""
    every = len(checked.readings)
    if settled.conflicting:
        first = settled.conflicting[0]
        detail = f"{first.detail}; in conflict: {_counted(len(settled.conflicting), every)}"
        raise Problem(409, "identity_conflict", detail, errors=[_named(each) for each in settled.conflicting])
    if settled.rejected:
        event = settled.rejected[0]
        detail = f"the chain refused {len(settled.rejected)} of {every} readings; the first: {event.detail}"
        errors = [
            {"reason": each.reason, "detail": each.detail, "boot": each.boot, "seq": each.seq}
            for each in settled.rejected
        ]
        raise Problem(422, event.reason, detail, errors=errors)
    if settled.missing:
        detail = (
            f"{_counted(len(settled.missing), every)} not stored within {STORED_WITHIN_S:.0f} s; the broker has them, "
            "they will be stored later: ask for their trace, or send the same again"
        )
        ids = [each.id for each in settled.missing]
        raise Problem(504, "not_stored_yet", detail, correlation_ids=checked.correlation_ids, missing=ids)


def _counted(some: int, every: int) -> str:
    return f"{some} of {every} readings"


def _named(conflict: Conflict) -> dict[str, object]:
    reading = conflict.reading
    return {
        "reason": "identity_conflict",
        "detail": conflict.detail,
        "id": reading.id,
        "sent": msgspec.to_builtins(reading.values),
    }
