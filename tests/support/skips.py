"""In CI nothing is skipped in silence: a skip that `tests/allowed_skips.txt` does not name is a failure."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path

import pytest

ALLOWED = Path(__file__).parent.parent / "allowed_skips.txt"


def allowed_skips(text: str) -> dict[str, str]:
    """Node id → the reason why it may be skipped."""
    lines = (line.strip() for line in text.splitlines())
    pairs = (line.partition(" ") for line in lines if line and not line.startswith("#"))
    return {node: reason.strip() for node, _, reason in pairs}


def may_skip(node: str) -> bool:
    """May this test be skipped here? Outside CI always; `node` counts with and without its parameters."""
    if os.environ.get("CI") != "true":
        return True
    allowed = allowed_skips(ALLOWED.read_text(encoding="utf-8"))
    return node in allowed or node.partition("[")[0] in allowed


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item,
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """A test that skipped itself, or was skipped by its mark."""
    report = yield
    if report.skipped and not hasattr(report, "wasxfail") and not may_skip(item.nodeid):
        report.outcome, report.longrepr = "failed", _failure(report)
    return report


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report(
    collector: pytest.Collector,
) -> Generator[None, pytest.CollectReport, pytest.CollectReport]:
    """A module that skipped itself as a whole."""
    report = yield
    if report.skipped and not may_skip(collector.nodeid):
        report.outcome, report.longrepr = "failed", _failure(report)
    return report


def _failure(report: pytest.TestReport | pytest.CollectReport) -> str:
    reason = report.longrepr[2] if isinstance(report.longrepr, tuple) else report.longrepr
    return f"{reason}\nIn CI a skip is a failure: provide what is missing, or name it in tests/allowed_skips.txt."
