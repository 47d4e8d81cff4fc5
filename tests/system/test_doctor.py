"""`ronda doctor` on a real installation: silent while it is well, and it names the part that was really killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from typing import Any

import psutil

from tests.support.installation import Ronda, until
from tests.system.conftest import Make


def diagnosis(ronda: Ronda) -> dict[str, Any]:
    done = subprocess.run(
        [sys.executable, "-m", "ronda", "doctor", "--json", "--data", str(ronda.data)],
        capture_output=True, text=True, timeout=90, check=False, cwd=ronda.data.parent,
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (0 if found["well"] else 1), done.stderr
    return found


def test_a_killed_part_is_named_and_gone_again_when_it_is_back(make_ronda: Make) -> None:
    ronda = make_ronda("--devices", "2").start()
    ronda.until_ready()
    assert diagnosis(ronda) == {"well": True, "findings": []}

    # Held, not killed: what is killed is back within a second.
    hub = ronda.part("hub")
    os.kill(hub.pid, signal.SIGSTOP)
    found = diagnosis(ronda)["findings"]
    assert "broker" in {finding["check"] for finding in found}
    os.kill(hub.pid, signal.SIGKILL)
    psutil.wait_procs([hub], timeout=10)
    ronda.until_ready()
    again = until(lambda: _only_deaths(ronda), "well but for the death that is remembered", 60)
    assert [(each["check"], each["about"]) for each in again] == [("parts", "hub")]
    assert "died 1 times within the last hour" in again[0]["what"]

    # Nobody is left to start anything again.
    assert ronda.process is not None
    family = ronda.family()
    ronda.process.kill()
    ronda.process.wait(10)
    psutil.wait_procs(family[1:], timeout=20)
    checks = {(each["check"], each["about"]) for each in diagnosis(ronda)["findings"]}
    assert ("parts", "ronda up") in checks
    assert {"database", "broker", "api"} <= {check for check, _ in checks}


def _only_deaths(ronda: Ronda) -> list[dict[str, Any]] | None:
    found = diagnosis(ronda)["findings"]
    return found if {finding["check"] for finding in found} == {"parts"} else None
