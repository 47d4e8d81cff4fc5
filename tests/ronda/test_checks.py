"""A line of `ronda check` passes only when it was tried and went well."""

from __future__ import annotations

from pathlib import Path

import pytest

from contract.errors import TransientError
from ronda.checks.documents import _is_private
from ronda.checks.line import FailedCheckError, Line, NeedsAccountError, Result, tried
from ronda.checks.run import summary


async def said() -> str:
    return "42 rows"


def raising(error: Exception):
    async def check() -> str:
        raise error

    return check


async def test_what_was_found_stands_in_the_line() -> None:
    assert await tried("P1", "rows", said) == Line(gate="P1", name="rows", result=Result.PASS, said="42 rows")


@pytest.mark.parametrize(
    ("error", "result"),
    [
        (FailedCheckError("2 rows", "ronda seed"), Result.FAIL),
        (NeedsAccountError("no bucket", "a bucket"), Result.NEEDS_ACCOUNT),
        (TransientError("the database is away"), Result.FAIL),
        (TimeoutError(), Result.FAIL),
        (KeyError("spoken"), Result.FAIL),
    ],
)
async def test_nothing_that_went_wrong_passes(error: Exception, result: Result) -> None:
    line = await tried("P1", "rows", raising(error))
    assert line.result is result
    assert line.said


async def test_a_finding_says_what_to_do() -> None:
    assert (await tried("P1", "rows", raising(FailedCheckError("2 rows", "ronda seed")))).todo == "ronda seed"


def test_the_summary_counts_each_result() -> None:
    lines = [Line(gate="P1", name="a", result=result, said="") for result in (Result.PASS, Result.PASS, Result.FAIL)]
    assert summary(lines) == {"pass": 2, "fail": 1, "needs_account": 0, "lines": lines}


@pytest.mark.parametrize("host", ["127.0.0.1", "10.1.2.3", "::1", "api", "localhost", "ronda.local", "api.internal"])
def test_an_address_that_only_this_network_knows_is_not_public(host: str) -> None:
    assert _is_private(host)


@pytest.mark.parametrize("host", ["ronda.example.com", "8.8.8.8"])
def test_a_public_name_is_public(host: str) -> None:
    assert not _is_private(host)


def test_the_documents_that_are_looked_for_are_ours(pytestconfig: pytest.Config) -> None:
    from ronda.checks.documents import DOCUMENTS

    root = Path(pytestconfig.rootpath)
    assert [name for name in DOCUMENTS if not (root / name).is_file()] == []
