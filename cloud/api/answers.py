"""Answers as JSON, encoded once by msgspec."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from fastapi import Response

JSON = "application/json"


def answer(body: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """The body as JSON; what depends on the caller is not for a shared cache."""
    fixed = {"cache-control": "no-store"}
    return Response(msgspec.json.encode(body), status, fixed | dict(headers or {}), JSON)
