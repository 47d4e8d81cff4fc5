"""Unknown addresses below `/api` are told so, as a problem: the dashboard's catch-all never sees them."""

from __future__ import annotations

from fastapi import APIRouter, Request

from cloud.api.problems import Problem

router = APIRouter()

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
    """The methods that other routes take at this path."""
    found: set[str] = set()
    for route in request.app.routes:
        methods = getattr(route, "methods", None)
        matches = getattr(route, "path_regex", None)
        if methods and matches and route.endpoint is not unknown and matches.match(request.url.path):
            found |= methods
    return sorted(found - {"HEAD"})
