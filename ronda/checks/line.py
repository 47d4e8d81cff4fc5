"""One line of `ronda check`: what was looked at, how it went, and what to do about it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from enum import StrEnum

import msgspec

from contract.errors import RondaError

log = logging.getLogger("ronda.checks")

# The slowest is MLflow's import beside a server that wakes up; what takes longer does not answer.
_WITHIN_S = 90.0


class Result(StrEnum):
    """How a line went. There is no fourth: what was not tried has not passed."""

    PASS = "pass"  # noqa: S105  # a result, no password
    FAIL = "fail"
    NEEDS_ACCOUNT = "needs an account"


class Line(msgspec.Struct, frozen=True, kw_only=True):
    """`said`: what was found, with figures; `todo`: what to do or to provide, empty when it passed."""

    gate: str
    name: str
    result: Result
    said: str
    todo: str = ""


class FailedCheckError(RondaError):
    """The environment does not keep this line."""

    def __init__(self, said: str, todo: str) -> None:
        self.todo = todo
        super().__init__(said)


class NeedsAccountError(FailedCheckError):  # a finding, not an error
    """This line cannot be tried without something that only its owner can provide."""


# Says what was found. Raises: FailedCheckError.
Check = Callable[[], Awaitable[str]]


async def tried(gate: str, name: str, check: Check) -> Line:
    """Try one line; whatever goes wrong is its finding."""
    try:
        async with asyncio.timeout(_WITHIN_S):
            return Line(gate=gate, name=name, result=Result.PASS, said=await check())
    except NeedsAccountError as finding:
        return Line(gate=gate, name=name, result=Result.NEEDS_ACCOUNT, said=str(finding), todo=finding.todo)
    except FailedCheckError as finding:
        return Line(gate=gate, name=name, result=Result.FAIL, said=str(finding), todo=finding.todo)
    except TimeoutError:
        return Line(gate=gate, name=name, result=Result.FAIL, said=f"no answer within {_WITHIN_S:.0f} s", todo="")
    except Exception as error:
        # A check that breaks has not passed, and the others are still worth trying.
        log.warning("check.broke", extra={"check": name}, exc_info=not isinstance(error, RondaError))
        said = str(error) if isinstance(error, RondaError) else f"{type(error).__name__}: {error}"
        return Line(gate=gate, name=name, result=Result.FAIL, said=said, todo="")
