"""An agent in a process of its own, or in two that share the partitions, does what it does in the hub."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator

from tests.support.installation import Ronda, clean_environment
from tests.system.conftest import Make
from tests.system.test_golden_path import mail_about, simulate


@contextlib.contextmanager
def agent(ronda: Ronda, name: str, *options: str) -> Iterator[None]:
    process = subprocess.Popen(
        [sys.executable, "-m", "ronda", "agent", name, "--data", str(ronda.data), *options],
        env=clean_environment(),
        cwd=ronda.data.parent,
    )
    try:
        yield
    finally:
        process.send_signal(signal.SIGTERM)
        assert process.wait(15) == 0


def test_agents_in_processes_of_their_own_complete_the_chain(make_ronda: Make) -> None:
    ronda = make_ronda("--devices", "1", "--without", "validation", "--without", "anomaly-detection").start()
    ronda.until_up()
    with (
        agent(ronda, "validation", "--partitions", "0-31"),
        agent(ronda, "validation", "--partitions", "32-63"),
        agent(ronda, "anomaly-detection"),
    ):
        ronda.until_ready()
        started = simulate(ronda)
        mail_about(ronda, started["correlation_id"])
        logged = {
            line["agent"] for line in ronda.log_lines() if line.get("correlation_id") == started["correlation_id"]
        }
        assert logged >= {"acquisition", "validation", "anomaly-detection", "notification"}
