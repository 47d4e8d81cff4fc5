"""Scope checks: which route needs which right."""

from __future__ import annotations

from typing import Annotated, cast

from fastapi import Depends, Request, Security
from fastapi.openapi.models import OAuthFlowPassword, OAuthFlows
from fastapi.params import Security as SecurityParam
from fastapi.security import APIKeyHeader, OAuth2, SecurityScopes
from starlette.requests import HTTPConnection

from cloud.api.callers import Caller, Scope
from cloud.api.problems import Problem, unauthorized
from cloud.api.services import Services

_SCOPES = {
    Scope.INGEST_WRITE: "send readings of the devices that the token names",
    Scope.SIMULATE_WRITE: "let demo machines fall ill",
    Scope.DATA_READ: "read readings, anomalies, traces and mails",
    Scope.DEVICES_WRITE: "add and revoke devices",
    Scope.ALARMS_WRITE: "say whether an alarm was right",
    Scope.MODELS_WRITE: "bring models into force and roll them back",
}
# For the documentation; the gate has identified the caller before any route is looked up.
_password = OAuthFlowPassword(tokenUrl="/api/v1/auth/token", scopes={str(name): text for name, text in _SCOPES.items()})
_token = OAuth2(flows=OAuthFlows(password=_password), scheme_name="token", auto_error=False)
_key = APIKeyHeader(name="X-API-Key", scheme_name="key", auto_error=False)


def caller_of(connection: HTTPConnection) -> Caller:
    """Whom the gate let in. Raises: Problem 401 for nobody, should a path ever be open by mistake."""
    caller = getattr(connection.state, "caller", None)
    if not isinstance(caller, Caller):
        raise unauthorized("log in first: POST /api/v1/auth/token", "not_logged_in")
    return caller


def services_of(connection: HTTPConnection) -> Services:
    """What the routes work with."""
    return cast("Services", connection.app.state.services)


async def _check(request: Request, needed: SecurityScopes, _: Annotated[object, Depends(_token)]) -> Caller:
    return _checked(caller_of(request), needed.scopes)


async def _check_machine(
    request: Request,
    needed: SecurityScopes,
    _: Annotated[object, Depends(_token)],
    __: Annotated[object, Depends(_key)],
) -> Caller:
    return _checked(caller_of(request), needed.scopes)


def _checked(caller: Caller, needed: list[str]) -> Caller:
    for scope in needed:
        if scope not in caller.scopes:
            detail = (
                f"this needs the scope {scope}; {caller.subject} holds: {' '.join(sorted(caller.scopes)) or 'none'}"
            )
            headers = {"WWW-Authenticate": f'Bearer error="insufficient_scope", scope="{scope}"'}
            raise Problem(403, "insufficient_scope", detail, headers=headers)
    return caller


def requires(scope: Scope) -> SecurityParam:
    """The dependency of a route that needs `scope`; gives the caller."""
    check = _check_machine if scope is Scope.INGEST_WRITE else _check
    return cast("SecurityParam", Security(check, scopes=[scope.value]))


Reader = Annotated[Caller, requires(Scope.DATA_READ)]
Sender = Annotated[Caller, requires(Scope.INGEST_WRITE)]
Simulator = Annotated[Caller, requires(Scope.SIMULATE_WRITE)]
Registrar = Annotated[Caller, requires(Scope.DEVICES_WRITE)]
Judge = Annotated[Caller, requires(Scope.ALARMS_WRITE)]
Promoter = Annotated[Caller, requires(Scope.MODELS_WRITE)]
