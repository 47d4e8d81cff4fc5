"""The big fleet's verdict: what is missing or doubled is said, and a small one passes on a real installation."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import msgspec
import pytest

from benchmarks.fleet import Counted, Farewell, Result
from benchmarks.lag import Lag
from tests.support.installation import ROOT

GOOD = Result(
    devices=2,
    seconds=10,
    broker="embedded",
    due=20,
    counted=Counted(20, 24, 24, 0, 5.0, 9.0),
    ledger={"sent": 24, "stored": 24, "pending": 0, "rejected": 0, "lost": 0},
    farewell=Farewell(2, 0, 0),
    used={},
    stored_lag=Lag(0.1, 0.2),
    busy=0.5,
)


def changed(**counts: int) -> Result:
    return msgspec.structs.replace(GOOD, counted=msgspec.structs.replace(GOOD.counted, **counts))


def test_every_reading_once_is_no_complaint():
    assert GOOD.complaints() == []


@pytest.mark.parametrize(
    ("result", "complaint"),
    [
        (changed(in_window=19), "20 readings were due in the window, 19 are stored"),
        (changed(distinct=23), "1 readings are doubled"),
        (changed(gaps=3), "3 numbers are missing"),
        (msgspec.structs.replace(GOOD, ledger=GOOD.ledger | {"lost": 4}), "the ledger: 4 lost, 0 pending, 0 refused"),
        (msgspec.structs.replace(GOOD, ledger=GOOD.ledger | {"stored": 9}), "the ledger says 9 stored, SQL 24"),
        (msgspec.structs.replace(GOOD, farewell=Farewell(2, 0, 7)), "7 readings did not fit into a machine's memory"),
    ],
)
def test_what_is_not_as_promised_is_said(result: Result, complaint: str) -> None:
    assert result.complaints() == [complaint]


@pytest.mark.serial
@pytest.mark.timeout(300)
def test_a_small_fleet_is_stored_whole(tmp_path: Path) -> None:
    options = ["--devices", "5", "--minutes", "0.1", "--broker", "embedded", "--evidence", str(tmp_path)]
    command = [sys.executable, "-m", "benchmarks", "fleet", *options]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=280, check=False)
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}"
    assert "30 readings due, 30 stored" in (tmp_path / "fleet.txt").read_text()
