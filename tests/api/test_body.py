"""A body that breaks off is the sender's trouble, told in a sentence, and no failure of ours."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from fastapi import Request
from starlette.types import Message

from cloud.api.body import read
from cloud.api.problems import Problem


def broken_off(after: bytes) -> Request:
    """A request whose sender hangs up in the middle of its body."""
    parts: Iterator[Message] = iter(
        [{"type": "http.request", "body": after, "more_body": True}, {"type": "http.disconnect"}]
    )

    async def receive() -> Message:
        return next(parts)

    return Request({"type": "http", "method": "POST", "path": "/", "headers": []}, receive)


async def test_a_body_that_breaks_off_is_told_as_such() -> None:
    with pytest.raises(Problem) as refused:
        await read(broken_off(b'{"ts": 17'), 1000)
    assert (refused.value.status, refused.value.reason) == (400, "broken_off")
    assert "after 9 bytes" in refused.value.detail
