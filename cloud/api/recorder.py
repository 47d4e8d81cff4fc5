"""The outermost layer: gives each request its id, counts and logs it, and turns a crash into a problem body."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from starlette.datastructures import Headers, MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from cloud.api.measures import Measures
from cloud.api.problems import Problem
from contract.names import is_correlation_id

log = logging.getLogger("ronda.api")

_REQUEST_ID = "x-request-id"
# Told by every orchestrator every few seconds: no news.
PROBES = frozenset({"/healthz", "/readyz", "/metrics"})
# What a browser must not do with our answers: guess their type, or show them in another site's frame.
_GUARDS = {"x-content-type-options": "nosniff", "x-frame-options": "SAMEORIGIN", "referrer-policy": "same-origin"}


class Recorder:
    """Nothing leaves without an id, and nobody outside sees a traceback."""

    def __init__(self, app: ASGIApp, measures: Measures, new_id: Callable[[], str]) -> None:
        self._app = app
        self._measures = measures
        self._new_id = new_id

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        given = Headers(scope=scope).get(_REQUEST_ID, "")
        request_id = given if is_correlation_id(given) else self._new_id()
        scope.setdefault("state", {})["request_id"] = request_id
        begun = time.perf_counter()
        status = 0

        async def stamped(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[_REQUEST_ID] = request_id
                for name, value in _GUARDS.items():
                    headers.setdefault(name, value)
            await send(message)

        try:
            await self._app(scope, receive, stamped)
        except Exception:
            log.exception("request.crashed", extra=_fields(scope, request_id))
            if status:
                raise
            await _crash(request_id)(scope, receive, stamped)
        self._note(scope, request_id, status, time.perf_counter() - begun)

    def _note(self, scope: Scope, request_id: str, status: int, seconds: float) -> None:
        self._measures.request(scope["method"], _route(scope), status, seconds)
        if scope["path"] in PROBES:
            return
        level = logging.INFO if status < 500 else logging.ERROR
        fields = _fields(scope, request_id) | {"status": status, "ms": round(seconds * 1000, 2)}
        log.log(level, "request.done", extra=fields)


def _fields(scope: Scope, request_id: str) -> dict[str, object]:
    state = scope.get("state", {})
    caller = state.get("caller")
    fields: dict[str, object] = {"agent": "api", "request_id": request_id, "method": scope["method"]}
    fields |= {"path": scope["path"], "subject": caller.subject if caller else None}
    if correlation_id := state.get("correlation_id"):
        fields["correlation_id"] = correlation_id
    return fields


def _route(scope: Scope) -> str:
    """The route's pattern, so that ids in paths make no new time series."""
    route = scope.get("route")
    return str(getattr(route, "path", "other"))


def _crash(request_id: str) -> ASGIApp:
    detail = f"something of ours failed; the log has it under request_id {request_id}"
    return Problem(500, "internal_error", detail).response(request_id)
