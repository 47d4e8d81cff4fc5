"""`POST /api/v1/simulate/anomaly-event`: the golden path at the press of a button."""

from __future__ import annotations

import msgspec
from fastapi import APIRouter, Request, Response

from cloud.api.answers import answer
from cloud.api.body import command, read_command
from cloud.api.dependencies import Simulator, services_of
from cloud.api.idempotency import Key
from cloud.api.services import Services
from cloud.api.simulation import Fault

router = APIRouter(prefix="/api/v1/simulate", tags=["simulation"])


class Wish(msgspec.Struct, frozen=True):
    """What shall happen to the demo machine."""

    fault: Fault = Fault.BEARING_WEAR


_SCHEMA = {"type": "object", "properties": {"fault": {"enum": [str(fault) for fault in Fault]}}}
_OPENAPI = {"requestBody": {"required": False, "content": {"application/json": {"schema": _SCHEMA}}}}


@router.post("/anomaly-event", status_code=202, openapi_extra=_OPENAPI)
async def simulate(request: Request, caller: Simulator, key: Key = None) -> Response:
    """Let a rested demo machine fall ill; follow `correlation_id` with `GET /api/v1/trace/{correlation_id}`.

    The machine publishes ordinary readings of the minute before now. `none` stays well: no mail is sent then.
    """
    services = services_of(request)
    body = await read_command(request)
    wish = command(body, Wish)
    return await services.idempotency.once(request, caller, key, body, lambda: _start(request, services, wish))


async def _start(request: Request, services: Services, wish: Wish) -> Response:
    started = await services.demonstration.start(wish.fault)
    request.state.correlation_id = started.correlation_id
    services.measures.simulations.labels(str(wish.fault)).inc()
    where = {"location": f"/api/v1/trace/{started.correlation_id}"}
    return answer(started, 202, where)
