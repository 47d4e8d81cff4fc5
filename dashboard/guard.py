"""What stands on the screen when the API refuses, fails or is away."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from typing import Any

from dash import dcc

from contract.errors import TransientError
from dashboard.desk import Reader
from dashboard.elements import WHOLE_PAGE, Child, Retry, error
from dashboard.refusals import away_word, refusal_word
from ronda.client import ApiError

log = logging.getLogger("ronda.dashboard")

_NO_SESSION = 401


async def guarded(reader: Reader, what: str, ask: Callable[[Reader], Awaitable[Any]], retry: Retry = WHOLE_PAGE) -> Any:
    """The answer of `ask`, or the error card in its place; without a session, the way to the login page.

    `retry` is what the card's button does; the page as a whole, where nothing less is said.
    """
    try:
        return await ask(reader)
    except ApiError as refusal:
        if refusal.status == _NO_SESSION:
            return dcc.Location(id="to-login", href="/ui/login", refresh=True)
        log.warning("page.refused", extra={"reason": refusal.reason, "request_id": refusal.request_id})
        return error(reader.say, what, refusal_word(refusal, reader.say), refusal.request_id, retry)
    except TransientError as away:
        log.warning("page.failed", extra={"error": str(away)})
        return error(reader.say, what, away_word(reader.say), None, retry)


async def quietly(reader: Reader, ask: Callable[[Reader], Awaitable[Child]]) -> Child:
    """The answer of `ask`, or nothing: what stands around a page leaves its place empty, and the page says why."""
    try:
        return await ask(reader)
    except (ApiError, TransientError) as failure:
        log.warning("frame.failed", extra={"error": str(failure)})
        return []
