"""Every refusal and failure as a problem body (RFC 9457), with a code to decide on and the id to ask about."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from contract.errors import ContractError, Reason, RondaError, TransientError

MEDIA_TYPE = "application/problem+json"
# What is away for the moment is usually back within seconds: a broker or database that restarts.
RETRY_AFTER_S = 5


class Problem(RondaError):  # noqa: N818  # the name that RFC 9457 gave it
    """An answer that says no: `detail` for people (what happened, to what, what to do), `reason` for programs."""

    def __init__(
        self,
        status: int,
        reason: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
        **more: object,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.reason = reason
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more

    def body(self, request_id: str | None) -> dict[str, Any]:
        """The members of RFC 9457 section 3.1, and ours beside them."""
        members = {
            "type": f"urn:ronda:problem:{self.reason}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "reason": self.reason,
            "request_id": request_id,
        }
        return members | self.more

    def response(self, request_id: str | None) -> Response:
        """The whole answer."""
        body = msgspec.json.encode(self.body(request_id))
        return Response(body, self.status, self.headers, MEDIA_TYPE)


def not_found(what: str) -> Problem:
    """404 for a thing that does not exist, or that the caller may not know of."""
    return Problem(404, "not_found", what)


def unauthorized(detail: str, reason: str = "unauthorized") -> Problem:
    """401 with the challenge that RFC 6750 asks for."""
    return Problem(401, reason, detail, headers={"WWW-Authenticate": 'Bearer realm="ronda"'})


def unavailable(reason: str, detail: str, retry_after_s: int = RETRY_AFTER_S, **more: object) -> Problem:
    """503 with the time after which a repeat makes sense."""
    return Problem(503, reason, detail, headers={"Retry-After": str(retry_after_s)}, **more)


def refusal(error: ContractError) -> Problem:
    """What a message that does not keep the contract is answered with."""
    status = {Reason.MALFORMED_JSON: 400, Reason.TOO_LARGE: 413}.get(error.reason, 422)
    return Problem(status, error.reason, error.detail)


def request_id_of(request: Request) -> str | None:
    """The id that the recorder gave to this request."""
    return getattr(request.state, "request_id", None)


def install(app: FastAPI) -> None:
    """Let every exception that a route may raise on purpose leave as a problem body."""
    app.add_exception_handler(Problem, _on_problem)
    app.add_exception_handler(ContractError, _on_contract_error)
    app.add_exception_handler(TransientError, _on_transient_error)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(HTTPException, _on_http_exception)


async def _on_problem(request: Request, error: Exception) -> Response:
    assert isinstance(error, Problem)  # noqa: S101  # registered for this class alone
    return error.response(request_id_of(request))


async def _on_contract_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, ContractError)  # noqa: S101  # registered for this class alone
    return refusal(error).response(request_id_of(request))


async def _on_transient_error(request: Request, error: Exception) -> Response:
    problem = unavailable("unavailable", f"{error}; try again in a few seconds")
    return problem.response(request_id_of(request))


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)  # noqa: S101  # registered for this class alone
    errors = [{"where": _where(each["loc"]), "detail": each["msg"]} for each in error.errors()]
    told = "; ".join(f"{each['where']}: {each['detail']}" for each in errors)
    return Problem(422, "invalid_request", told, errors=errors).response(request_id_of(request))


async def _on_http_exception(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)  # noqa: S101  # registered for this class alone
    reason = HTTPStatus(error.status_code).name.lower()
    detail = f"{request.method} {request.url.path}: {error.detail}"
    return Problem(error.status_code, reason, detail, headers=error.headers).response(request_id_of(request))


def _where(location: tuple[int | str, ...]) -> str:
    return ".".join(str(part) for part in location)
