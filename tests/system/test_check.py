"""`ronda check` against a running installation: it tries, it says what it found, and it fails what is not kept."""

from __future__ import annotations

import json
import subprocess
import sys

from tests.support.installation import Ronda


def check(ronda: Ronda, *options: str) -> tuple[int, dict[str, dict[str, str]]]:
    """(exit code, lines by name)."""
    command = [sys.executable, "-m", "ronda", "check", "--data", str(ronda.data), "--json", *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=150, check=False, cwd=ronda.data.parent)
    assert done.stdout, done.stderr
    return done.returncode, {line["name"]: line for line in json.loads(done.stdout)["lines"]}


def test_the_golden_path_and_the_service_pass(ronda: Ronda) -> None:
    code, lines = check(ronda, "--gate", "P2", "--gate", "P3")
    assert {name: line["said"] for name, line in lines.items() if line["result"] != "pass"} == {}
    assert code == 0
    assert "delivered" in lines["a notification delivered"]["said"]


def test_what_only_an_owner_can_provide_is_not_passed(ronda: Ronda) -> None:
    code, lines = check(ronda, "--gate", "P1")
    assert lines["database and its schema"]["result"] == "pass"
    assert lines["Redis"]["result"] == "needs an account"
    assert lines["broker with TLS"]["result"] == "fail"
    assert "ronda certs" in lines["broker with TLS"]["todo"]
    assert code == 1
