"""The one gate in front of everything on this server: API, dashboard pages and assets, and the WebSocket.

Dash's own hooks skip its sub-pages, assets and WebSockets, so nothing is left to them: what is not on the list of open
paths needs a caller. Whether the caller may do what it asks is decided per route (`dependencies.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from ipaddress import ip_address
from urllib.parse import quote

from fastapi import Response
from starlette.datastructures import Headers
from starlette.responses import RedirectResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from cloud.api.auth import InvalidTokenError
from cloud.api.identify import Identify
from cloud.api.pace import Pace
from cloud.api.problems import Problem, unauthorized

LOGIN_PAGE = "/ui/login"
CSRF_HEADER = "x-ronda-csrf"
METRICS = "/metrics"
# Open by exact path, or below it when it ends with a slash. The login page needs its style sheets and scripts, which
# hold no data; orchestrators probe without credentials; the documentation describes what is public source code.
OPEN = (
    "/",
    "/favicon.ico",
    "/healthz",
    "/readyz",
    "/docs",
    "/docs/oauth2-redirect",
    "/openapi.json",
    "/asyncapi.yaml",
    "/api/v1/auth/token",
    "/api/v1/auth/session",
    LOGIN_PAGE,
    "/ui/assets/",
    "/ui/_dash-component-suites/",
    "/ui/_favicon.ico",
)
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
# RFC 6455 section 7.4.2 leaves 4000–4999 to applications; before the handshake servers answer it with 403.
_WS_REFUSED = 4401
_WS_TOO_MANY = 4429


class Gate:
    """Lets in who may come in, with `state["caller"]` set; turns the others away in the form that they understand."""

    def __init__(
        self,
        app: ASGIApp,
        identify: Identify,
        is_unknown: Callable[[str], bool],
        pace: Pace,
        open_paths: Iterable[str] = OPEN,
    ) -> None:
        self._app = app
        self._identify = identify
        self._is_unknown = is_unknown
        self._pace = pace
        paths = tuple(open_paths)
        self._exact = frozenset(paths)
        self._below = tuple(path for path in paths if path.endswith("/") and path != "/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request or WebSocket."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        refused = self._refusal(scope)
        # Strangers are counted too, and by where they come from.
        if counted := await self._pace.count(scope):
            send = counted.stamped(send)
            refused = counted.problem if counted.wait_s else refused
        if refused is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            code = _WS_TOO_MANY if refused.status == 429 else _WS_REFUSED
            await send({"type": "websocket.close", "code": code, "reason": refused.reason})
        else:
            await _answer(refused, scope)(scope, receive, send)

    def _refusal(self, scope: Scope) -> Problem | None:
        """Why this request stays outside, or None; the caller, if any, is noted in the scope."""
        headers = Headers(scope=scope)
        is_open = self._is_open(scope, headers)
        try:
            found = self._identify(headers)
        except InvalidTokenError:
            found = None
            if not is_open:
                return unauthorized("the token or key is not valid or no longer valid; log in again", "invalid_token")
        if found is None:
            return None if is_open else unauthorized("log in first: POST /api/v1/auth/token", "not_logged_in")
        if found.by_cookie and not _is_own(scope, headers):
            return Problem(403, "cross_site", f"changes with a session cookie need the header {CSRF_HEADER}: 1")
        scope.setdefault("state", {}).update(caller=found.caller, by_cookie=found.by_cookie)
        return None

    def _is_open(self, scope: Scope, headers: Headers) -> bool:
        path: str = scope["path"]
        if path == METRICS:
            return _is_from_this_machine(scope, headers)
        if path in self._exact or path.startswith(self._below):
            return True
        # Which addresses there are is public; a mistyped one is told so rather than sent to the login.
        return scope["type"] == "http" and self._is_unknown(path)


def _is_own(scope: Scope, headers: Headers) -> bool:
    """Could only our own page have caused this?

    SameSite=Strict already keeps the cookie from other sites' requests; this closes what is left (old browsers, other
    ports and sub-domains of one site). A page of another origin cannot set our header without a CORS preflight, which
    nobody here answers; and a browser states the true origin of every POST and WebSocket.
    """
    if scope["type"] == "http" and (scope["method"] in _SAFE or headers.get(CSRF_HEADER) == "1"):
        return True
    return is_own_page(headers)


def is_own_page(headers: Headers) -> bool:
    """Does the browser say that a page of this very server asks?"""
    # Schemes are not compared: behind a proxy that ends TLS the server does not see its own.
    origin = headers.get("origin", "").partition("://")[2]
    return bool(origin) and origin == headers.get("host")


def _is_from_this_machine(scope: Scope, headers: Headers) -> bool:
    """A scraper on this machine, not somebody behind a proxy on it."""
    client = scope.get("client")
    if client is None or "x-forwarded-for" in headers or "forwarded" in headers:
        return False
    try:
        return ip_address(client[0]).is_loopback
    except ValueError:
        return False


def _answer(problem: Problem, scope: Scope) -> Response:
    """A page of the dashboard leads to the login and back; programs get the problem."""
    path: str = scope["path"]
    is_page = path.startswith("/ui") and not path.startswith("/ui/_") and scope["method"] in _SAFE
    if problem.status == 401 and is_page:
        wanted = path + ("?" + scope["query_string"].decode("latin-1") if scope["query_string"] else "")
        return RedirectResponse(f"{LOGIN_PAGE}?next={quote(wanted, safe='')}", status_code=303)
    return problem.response(scope.get("state", {}).get("request_id"))
