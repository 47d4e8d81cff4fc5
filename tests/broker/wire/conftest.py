"""On both event loops: tests elsewhere run on asyncio's own, the product runs on uvloop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import pytest
import uvloop


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, Callable[[], asyncio.AbstractEventLoop]]:
    """Either."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
