"""One installation for the tests that only look, and a way to make another for those that hurt it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support.installation import Ronda
from tests.support.ports import free_port

Make = Callable[..., Ronda]


@pytest.fixture(scope="package")
def metrics_port() -> int:
    """Where the shared installation's hub tells its numbers."""
    return free_port()


@pytest.fixture(scope="package")
def ronda(tmp_path_factory: pytest.TempPathFactory, metrics_port: int) -> Iterator[Ronda]:
    """A running installation as `ronda up --devices 2` makes it, ready; Prometheus may ask it."""
    folder = tmp_path_factory.mktemp("shared") / "data"
    installation = Ronda(folder, "--devices", "2", environment={"METRICS_PORT": str(metrics_port)}).start()
    try:
        installation.until_ready()
        yield installation
    finally:
        installation.stop()


@pytest.fixture
def make_ronda(tmp_path: Path) -> Iterator[Make]:
    """Makes installations that are stopped at the end of the test."""
    made: list[Ronda] = []

    def make(*options: str, name: str = "data", environment: dict[str, str] | None = None) -> Ronda:
        made.append(Ronda(tmp_path / name, *options, environment=environment))
        return made[-1]

    yield make
    for installation in made:
        installation.stop()
