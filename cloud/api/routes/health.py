"""For orchestrators and Prometheus: alive, ready, measured."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from cloud.api.answers import answer
from cloud.api.callers import Caller, Scope
from cloud.api.dependencies import services_of
from cloud.api.measures import CONTENT_TYPE
from cloud.api.problems import Problem

router = APIRouter(tags=["health"])


@router.get("/healthz")
async def healthz() -> Response:
    """200 while this process answers at all."""
    return answer({"alive": True})


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """200 while the whole chain can do its work and keeps up with it.

    Else 503: `missing` names what is down or not there yet, `behind` the queues that are too full.
    """
    ready = await services_of(request).readiness.look()
    if ready.ready:
        return answer(ready)
    problem = Problem(
        503,
        "not_ready",
        ready.why_not,
        ready=False,
        missing=ready.missing,
        behind=ready.behind,
        degraded=ready.degraded,
    )
    return problem.response(request.state.request_id)


@router.get("/metrics")
async def metrics(request: Request) -> Response:
    """Prometheus. From this machine without credentials; from elsewhere with a token of the scope data:read."""
    caller = getattr(request.state, "caller", None)
    if isinstance(caller, Caller) and Scope.DATA_READ not in caller.scopes:
        raise Problem(403, "insufficient_scope", f"this needs the scope {Scope.DATA_READ}")
    return Response(services_of(request).exposition(), media_type=CONTENT_TYPE)
