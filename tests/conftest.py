"""For every test: skips fail in CI, whole processes run one at a time, and property tests have no stopwatch."""

from __future__ import annotations

from pathlib import Path

import hypothesis
import pytest

from tests.support.skips import pytest_make_collect_report, pytest_runtest_makereport

__all__ = ["pytest_make_collect_report", "pytest_runtest_makereport"]

_SYSTEM = {Path(__file__).parent / "system", Path(__file__).parent / "faults"}

# A busy machine is no bug: the time-out of the whole test is the only stopwatch.
hypothesis.settings.register_profile("ronda", deadline=None, print_blob=True)
hypothesis.settings.load_profile("ronda")


def pytest_configure(config: pytest.Config) -> None:
    """Declare the mark that `make test` selects by."""
    config.addinivalue_line("markers", "serial: starts whole processes or a browser; not beside other tests")
    config.addinivalue_line("markers", "soak: waits for minutes; `make soak`")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whole processes and browsers want the machine to themselves."""
    for item in items:
        if _SYSTEM.intersection(item.path.parents) or item.get_closest_marker("browser"):
            item.add_marker("serial")
