"""Reads a request's body with a bound that is kept while reading, not after."""

from __future__ import annotations

from typing import TypeVar

import msgspec
from fastapi import Request
from starlette.requests import ClientDisconnect

from cloud.api.problems import Problem
from contract.errors import Reason

T = TypeVar("T")

# Eight of the largest messages; a gateway with more sends more requests.
MAX_REQUEST_BYTES = 8 << 20
# Commands and forms are a few hundred bytes.
MAX_COMMAND_BYTES = 64 << 10


async def read(request: Request, limit: int) -> bytes:
    """The whole body. Raises: Problem 413 as soon as it is known to be longer than `limit`, 400 when it breaks off."""
    declared = request.headers.get("content-length", "")
    if declared.isdigit() and int(declared) > limit:
        raise _too_large(limit)
    chunks, size = [], 0
    try:
        async for chunk in request.stream():
            size += len(chunk)
            if size > limit:
                raise _too_large(limit)
            chunks.append(chunk)
    except ClientDisconnect:
        # Told to whoever still listens on a connection that is closed one way only, and to the log.
        raise Problem(400, "broken_off", f"the request broke off after {size:,} bytes; send it again") from None
    return b"".join(chunks)


async def read_json(request: Request, limit: int) -> bytes:
    """The body of a request that says it is JSON. Raises: Problem 415, 413."""
    _check_json(request)
    return await read(request, limit)


async def read_command(request: Request) -> bytes:
    """The body of a small JSON request; it may be empty. Raises: Problem 413, 415."""
    body = await read(request, MAX_COMMAND_BYTES)
    if body:
        _check_json(request)
    return body


def command(body: bytes, kind: type[T]) -> T:
    """What a small JSON object says, or the defaults when the body is empty. Raises: Problem 400, 422."""
    try:
        return msgspec.json.decode(body or b"{}", type=kind)
    except msgspec.ValidationError as error:
        raise Problem(422, Reason.WRONG_SHAPE, str(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise Problem(400, Reason.MALFORMED_JSON, str(error)) from error


def _check_json(request: Request) -> None:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json" and not kind.endswith("+json"):
        said = repr(kind) if kind else "none"
        raise Problem(415, "unsupported_media_type", f"send Content-Type: application/json; this request says {said}")


def _too_large(limit: int) -> Problem:
    # The rest of the body is not read: the connection cannot be used for another request.
    detail = f"the body has more than {limit:,} bytes; send several requests"
    return Problem(413, Reason.TOO_LARGE, detail, headers={"Connection": "close"})
