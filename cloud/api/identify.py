"""Tells from a request's headers who is asking: a bearer token, the machines' key, or the dashboard's cookie."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from http.cookies import CookieError, SimpleCookie
from typing import NamedTuple

from cloud.api.auth import InvalidTokenError, Tokens
from cloud.api.callers import EVERYTHING, Caller, Scope

SESSION_COOKIE = "ronda_session"
# A browser cannot set a header on a WebSocket; the token then travels as the sub-protocol `bearer.<token>` beside
# `ronda.v1`. There is no `?token=`: addresses end in access logs, histories and Referer headers.
STREAM_PROTOCOL = "ronda.v1"
_BEARER_PROTOCOL = "bearer."


class Identified(NamedTuple):
    """The caller, and whether the browser vouched for it by itself (`by_cookie`), which another site could abuse."""

    caller: Caller
    by_cookie: bool


class Identify:
    """Looks at what the request carries, the most explicit first."""

    def __init__(self, tokens: Tokens, api_key: str | None) -> None:
        self._tokens = tokens
        self._api_key = api_key.encode() if api_key else None

    def __call__(self, headers: Mapping[str, str]) -> Identified | None:
        """Who is asking, or None when nothing is shown. Raises: InvalidTokenError when what is shown is not valid."""
        if token := _bearer(headers):
            return Identified(self._tokens.verify(token), by_cookie=False)
        if key := headers.get("x-api-key"):
            return Identified(self._machine(key), by_cookie=False)
        if token := _cookie(headers.get("cookie", "")):
            return Identified(self._tokens.verify(token), by_cookie=True)
        return None

    def _machine(self, key: str) -> Caller:
        # Compared in constant time, so that the key cannot be guessed letter by letter.
        if self._api_key is None or not hmac.compare_digest(key.encode(), self._api_key):
            raise InvalidTokenError("api key")
        return Caller(subject="api-key", scopes=frozenset({Scope.INGEST_WRITE}), devices=(EVERYTHING,))


def _bearer(headers: Mapping[str, str]) -> str | None:
    """The token of RFC 6750 section 2.1, or of the sub-protocol. Raises: InvalidTokenError for another scheme."""
    if authorization := headers.get("authorization"):
        scheme, _, token = authorization.partition(" ")
        if scheme.lower() != "bearer" or not token:
            raise InvalidTokenError("scheme")
        return token.strip()
    offered = (each.strip() for each in headers.get("sec-websocket-protocol", "").split(","))
    return next((each.removeprefix(_BEARER_PROTOCOL) for each in offered if each.startswith(_BEARER_PROTOCOL)), None)


def _cookie(header: str) -> str | None:
    if SESSION_COOKIE not in header:
        return None
    try:
        morsel = SimpleCookie(header).get(SESSION_COOKIE)
    except CookieError:
        return None
    return morsel.value if morsel else None
