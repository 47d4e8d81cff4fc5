"""Start, stop, start again; and what is said when starting is impossible."""

from __future__ import annotations

import contextlib
import os
import re
import socket
import stat
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from tests.support.installation import ROOT, Ronda, clean_environment, until
from tests.system.conftest import Make


def refused(folder: Path, *options: str, **environment: str) -> str:
    """The one line that `ronda up` refuses with."""
    done = subprocess.run(
        [sys.executable, "-m", "ronda", "up", "--data", str(folder / "data"), *options],
        capture_output=True,
        text=True,
        timeout=60,
        env=clean_environment() | environment,
        cwd=folder,
        check=False,
    )
    assert done.returncode == 1
    lines = done.stderr.strip().splitlines()
    assert len(lines) == 1, done.stderr
    return lines[0]


def memory_mb(ronda: Ronda) -> float:
    """Proportional set size of the whole installation."""
    total = 0
    for process in ronda.family():
        # A part may end while it is asked.
        with contextlib.suppress(psutil.NoSuchProcess):
            total += process.memory_full_info().pss
    return total / 2**20


def test_an_empty_folder_becomes_ready_and_the_second_start_finds_everything(make_ronda: Make) -> None:
    ronda = make_ronda("--devices", "5")
    ronda.start()
    print(f"first start: ready after {ronda.until_ready():.1f} s")
    champions = {item["device"] for item in ronda.get("/api/v1/devices")["items"] if item["model"]}
    assert champions >= {"pump-01", "pump-05", "demo-1", "demo-2", "demo-3"}
    until(lambda: True if not _training(ronda) else None, "the trainer to end", 60)
    print(f"memory with five devices: {memory_mb(ronda):.0f} MB")
    before = ronda.sql("SELECT count(*), min(measured_at_ms) FROM readings")[0]
    ronda.stop()

    ronda.start()
    print(f"second start: ready after {ronda.until_ready():.1f} s")
    after = ronda.sql("SELECT count(*), min(measured_at_ms) FROM readings")[0]
    assert after[0] >= before[0]
    assert after[1] == before[1]
    assert {item["model"]["version"] for item in ronda.get("/api/v1/devices")["items"] if item["model"]} == {"1"}


def _training(ronda: Ronda) -> bool:
    try:
        return any("train" in process.cmdline()[3:4] for process in ronda.family())
    except psutil.NoSuchProcess:
        return True


def test_it_says_what_it_starts_and_how_to_log_in(ronda: Ronda) -> None:
    said = until(lambda: ronda.said() if "Ctrl-C" in ronda.said() else None, "the addresses")
    assert f"{ronda.url}/ui/" in said
    password = re.search(r"admin, password (\S+)", said)
    assert password
    assert password[1] == ronda.secrets()["admin_password"]


def test_secrets_are_readable_by_their_owner_alone(ronda: Ronda) -> None:
    for name in ("secrets.json", "run.json", "emulator/fleet.json", "broker/passwd"):
        assert stat.S_IMODE((ronda.data / name).stat().st_mode) == 0o600, name


def test_every_log_line_is_json_with_its_agent(ronda: Ronda) -> None:
    lines = list(ronda.log_lines())
    assert lines
    assert all(line["agent"] for line in lines)


@pytest.mark.parametrize("option", ["--http-port", "--mqtt-port"])
def test_a_port_in_use_is_one_clear_line(tmp_path: Path, option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        line = refused(tmp_path, option, port)
    assert port in line
    assert option in line


def test_an_unwritable_folder_is_one_clear_line() -> None:
    # Nobody can make a folder here, not even root.
    assert "--data" in refused(Path("/proc"))


def test_a_folder_that_cannot_be_made_is_one_clear_line(tmp_path: Path) -> None:
    (tmp_path / "data").write_text("a file stands here")
    assert "--data" in refused(tmp_path)


def test_a_broken_database_is_one_clear_line(tmp_path: Path) -> None:
    cluster = tmp_path / "data" / "postgres" / "cluster"
    cluster.mkdir(parents=True)
    (cluster / "PG_VERSION").write_text("nonsense")
    assert "database" in refused(tmp_path) or "postgres" in refused(tmp_path).lower()


def test_production_refuses_to_start_on_an_empty_secret_and_says_which(tmp_path: Path) -> None:
    line = refused(tmp_path, ENV="production")
    assert "JWT_SECRET" in line
    assert "ADMIN_PASSWORD" in line


def test_an_agent_that_does_not_exist_is_named(tmp_path: Path) -> None:
    assert "anomaly-detection" in refused(tmp_path, "--without", "anomaly")


def test_two_installations_cannot_share_a_folder(ronda: Ronda) -> None:
    line = refused(ronda.data.parent)
    assert "another" in line


def test_a_part_that_dies_is_started_again(make_ronda: Make) -> None:
    ronda = make_ronda("--devices", "1").start()
    ronda.until_ready()
    for name in ("api", "emulate", "hub"):
        killed = ronda.kill(name)
        until(lambda name=name, killed=killed: _other(ronda, name, killed), f"another {name}")
    postgres = next(each for each in ronda.family() if each.name().startswith("postgres"))
    postgres.kill()
    ronda.until_ready()


def _other(ronda: Ronda, name: str, killed: int) -> int | None:
    try:
        pid = ronda.part(name).pid
    except (AssertionError, psutil.NoSuchProcess):
        return None
    return pid if pid != killed else None


@pytest.mark.parametrize("broker", ["embedded", pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
def test_nothing_outlives_a_supervisor_killed_with_9(make_ronda: Make, broker: str) -> None:
    ronda = make_ronda("--devices", "1", "--broker", broker).start()
    ronda.until_ready()
    family = ronda.family()
    os.kill(family[0].pid, 9)
    _, left = psutil.wait_procs(family[1:], timeout=15)
    for process in left:
        process.kill()
    assert not left
    ronda.start()
    ronda.until_ready()


def test_the_version_is_printed() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "ronda", "--version"], capture_output=True, text=True, cwd=ROOT, check=True
    )
    assert re.fullmatch(r"ronda \d+\.\d+\.\d+\n", done.stdout)
