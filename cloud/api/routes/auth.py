"""Logging in and out: a token for programs, a cookie for the dashboard."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs

import msgspec
from fastapi import APIRouter, Request, Response

from cloud.api.answers import answer
from cloud.api.auth import SESSION_LIFETIME_S
from cloud.api.body import MAX_COMMAND_BYTES, read, read_json
from cloud.api.callers import Caller
from cloud.api.dependencies import caller_of, services_of
from cloud.api.gate import is_own_page
from cloud.api.identify import SESSION_COOKIE
from cloud.api.login import Grant
from cloud.api.origin import origin_of
from cloud.api.problems import Problem

router = APIRouter(prefix="/api/v1/auth", tags=["login"])

_FORM = "application/x-www-form-urlencoded"
_FIELDS = {"username": {"type": "string"}, "password": {"type": "string", "format": "password"}}
_TOKEN_FIELDS = _FIELDS | {"grant_type": {"type": "string", "default": "password"}, "scope": {"type": "string"}}


def _form_of(fields: dict[str, Any]) -> dict[str, Any]:
    schema = {"type": "object", "required": ["username", "password"], "properties": fields}
    return {"requestBody": {"required": True, "content": {_FORM: {"schema": schema}}}}


@router.post("/token", openapi_extra=_form_of(_TOKEN_FIELDS))
async def token(request: Request) -> Response:
    """A bearer token (OAuth2 password flow, RFC 6749 section 4.3) for a user, or for a device by its MQTT credentials.

    Neither `grant_type` nor `scope` is needed; without a scope the token has all scopes of the user.
    """
    form = await _form(request)
    if form.get("grant_type", "password") != "password":
        raise Problem(400, "unsupported_grant_type", "grant_type must be password")
    grant = await _grant(request, form)
    body = {"access_token": grant.token, "token_type": "bearer", "expires_in": grant.lifetime_s}
    return answer(body | {"scope": " ".join(sorted(grant.scopes))})


@router.post("/session", openapi_extra=_form_of(_FIELDS))
async def log_in(request: Request) -> Response:
    """Set the dashboard's cookie, for a shift. A form or a JSON object with `username` and `password`."""
    if "origin" in request.headers and not is_own_page(request.headers):
        raise Problem(403, "cross_site", "log in from Ronda's own page")
    form = await _form(request)
    grant = await _grant(request, form, SESSION_LIFETIME_S)
    response = answer(_about(services_of(request).tokens.verify(grant.token)))
    # Strict: no other site's request carries it. Secure wherever the page itself came over TLS.
    response.set_cookie(
        SESSION_COOKIE,
        grant.token,
        max_age=grant.lifetime_s,
        httponly=True,
        samesite="strict",
        secure=request.url.scheme == "https",
    )
    return response


@router.get("/session")
async def who_am_i(request: Request) -> Response:
    """Whom the cookie or token names; 401 for nobody."""
    return answer(_about(caller_of(request)))


@router.delete("/session", status_code=204)
async def log_out(request: Request) -> Response:
    """Take the cookie back, and refuse its token until it expires: here at once, in every other process in seconds."""
    await services_of(request).logouts.end(caller_of(request))
    response = Response(status_code=204)
    response.delete_cookie(SESSION_COOKIE, httponly=True, samesite="strict", secure=request.url.scheme == "https")
    return response


def _about(caller: Caller) -> dict[str, object]:
    expires_at_ms = None if caller.expires_at_s is None else caller.expires_at_s * 1000
    about = {"subject": caller.subject, "scopes": sorted(caller.scopes), "devices": list(caller.devices)}
    return about | {"expires_at_ms": expires_at_ms}


async def _grant(request: Request, form: dict[str, str], lifetime_s: int | None = None) -> Grant:
    username, password = form.get("username"), form.get("password")
    if not username or not password:
        raise Problem(422, "invalid_request", "send username and password")
    address = origin_of(request.scope)
    login = services_of(request).login
    if lifetime_s is None:
        return await login.grant(username, password, form.get("scope", ""), address)
    return await login.grant(username, password, "", address, lifetime_s)


async def _form(request: Request) -> dict[str, str]:
    """The fields of a form, or of a JSON object; of a repeated field the first."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return _json_fields(await read_json(request, MAX_COMMAND_BYTES))
    if kind != _FORM:
        raise Problem(415, "unsupported_media_type", f"send Content-Type: {_FORM}")
    try:
        fields = parse_qs((await read(request, MAX_COMMAND_BYTES)).decode(), keep_blank_values=True, max_num_fields=50)
    except ValueError as error:
        raise Problem(400, "malformed_form", f"not a form: {error}") from error
    return {name: values[0] for name, values in fields.items()}


def _json_fields(body: bytes) -> dict[str, str]:
    try:
        return msgspec.json.decode(body, type=dict[str, str])
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, "malformed_form", f"not an object of texts: {error}") from error
