"""Unknown addresses below `/api` are told so, as a problem: the dashboard's catch-all never sees them."""

from __future__ import annotations

import re

from fastapi import APIRouter, Request

from cloud.api.problems import Problem

router = APIRouter()

# `/api/v1/anomalies/{anomaly_id}`: one segment, whatever it is.
_PLACE = re.compile(r"\{[^}]+\}")
_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@router.api_route("/api", methods=_METHODS, include_in_schema=False)
@router.api_route("/api/{path:path}", methods=_METHODS, include_in_schema=False)
async def unknown(request: Request) -> None:
    """404, or 405 where the path exists for another method."""
    allowed = _allowed(request)
    if allowed:
        detail = f"{request.url.path} takes {', '.join(allowed)}, not {request.method}"
        raise Problem(405, "method_not_allowed", detail, headers={"Allow": ", ".join(allowed)})
    raise Problem(404, "not_found", f"there is nothing at {request.url.path}; /docs lists what there is")


def _allowed(request: Request) -> list[str]:
    """The methods that the documented addresses take at this path."""
    found = (
        method.upper()
        for path, methods in request.app.openapi()["paths"].items()
        if re.fullmatch(_PLACE.sub("[^/]+", path), request.url.path)
        for method in methods
    )
    return sorted(found)
