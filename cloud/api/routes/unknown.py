"""Unknown addresses below `/api` are told so, as a problem: the dashboard's catch-all never sees them."""

from __future__ import annotations

from fastapi import APIRouter, Request

from cloud.api.addresses import Addresses
from cloud.api.problems import Problem

router = APIRouter()

_METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


@router.api_route("/api", methods=_METHODS, include_in_schema=False)
@router.api_route("/api/{path:path}", methods=_METHODS, include_in_schema=False)
async def unknown(request: Request) -> None:
    """404, or 405 where the path exists for another method."""
    allowed = Addresses(request.app.openapi).methods(request.url.path)
    if allowed:
        detail = f"{request.url.path} takes {', '.join(allowed)}, not {request.method}"
        raise Problem(405, "method_not_allowed", detail, headers={"Allow": ", ".join(allowed)})
    raise Problem(404, "not_found", f"there is nothing at {request.url.path}; /docs lists what there is")
