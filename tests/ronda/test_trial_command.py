"""`ronda try` as a person types it: a process of its own, with nothing but the base install."""

from __future__ import annotations

import json
import resource
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests.repository.tree import required
from tests.support import datasets
from tests.support.trials import ONSET, START_S, pump_csv, table, written

# Runs the command where every package that the base install does not bring is not there.
BASE_ALONE = """
import sys
from importlib.metadata import packages_distributions
brought = set(sys.argv.pop(1).split(","))
theirs = {module for module, of in packages_distributions().items()
          if not {name.lower().replace("_", "-") for name in of} & brought}
class Away:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in theirs:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)
sys.meta_path.insert(0, Away())
from ronda.cli import main
main()
"""


def ronda(*arguments: str | Path, folder: Path) -> subprocess.CompletedProcess[str]:
    brought = ",".join(sorted({*required(), "ronda"}))
    command = [sys.executable, "-c", BASE_ALONE, brought, "try", *map(str, arguments)]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=60)


def test_a_fault_is_found_explained_and_put_on_a_page(tmp_path: Path) -> None:
    done = ronda(pump_csv(tmp_path), folder=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "pump-07.csv: 1,500 readings of 8 sensors, one a second" in done.stdout
    assert "Left out: anomaly." in done.stdout
    assert "Learned from the first 500 readings (8 min 19 s): young" in done.stdout
    assert "Found 1 anomaly in 16 min 39 s of data." in done.stdout
    assert "flow" in done.stdout
    assert "Page: pump-07.ronda.html" in done.stdout
    assert "</html>" in (tmp_path / "pump-07.ronda.html").read_text("utf-8")


def test_json_is_one_object_and_nothing_else(tmp_path: Path) -> None:
    done = ronda(pump_csv(tmp_path), "--json", "--out", tmp_path / "page.html", "--learn", "10m", folder=tmp_path)
    told = json.loads(done.stdout)
    assert told["learned"]["rows"] == 600
    assert told["learned"]["report"]["data_hash"]
    assert told["page"] == str(tmp_path / "page.html")
    assert told["comparison"]["false_alarms"] == 0
    (found,) = told["anomalies"]
    assert START_S + ONSET <= found["since_ms"] / 1000 < START_S + ONSET + 60
    assert "flow" in found["sentence"]["en"]


def test_without_a_file_an_emulated_pump_is_tried_in_portuguese_too(tmp_path: Path) -> None:
    done = ronda("--language", "pt", folder=tmp_path)
    assert "1 anomalia encontrada" in done.stdout
    assert 'lang="pt-BR"' in (tmp_path / "pump-07.ronda.html").read_text("utf-8")


@pytest.mark.parametrize(
    ("text", "options", "why"),
    [
        ("", [], "the file is empty"),
        ("a\n1\n2\n", [], "one column"),
        (table("time,a,b", 300, "{i},{a},{b}"), ["--learn", "soon"], "neither a number of rows"),
        (table("time,a,b", 300, "{i},{a},{b}"), ["--language", "de"], "the page speaks en and pt"),
        (table("time,a,b", 300, "{i},{a},{b}"), ["--sensitivity", "0.2"], "sensitivity"),
        (table("time,a,b", 300, "{i},{a},{b}"), ["--out", "nowhere/page.html"], "choose another place with --out"),
        (table("time,a,b", 300, "{i},{a},{b}"), ["--out", "file.csv"], "this is the recording itself"),
    ],
)
def test_what_cannot_be_tried_ends_with_one_line_and_no_page(
    tmp_path: Path, text: str, options: list[str], why: str
) -> None:
    done = ronda(written(tmp_path / "file.csv", text), *options, folder=tmp_path)
    assert done.returncode == 1
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert done.stderr.startswith("ronda: ")
    assert why in done.stderr
    assert list(tmp_path.glob("*.html")) == []


def test_a_day_of_readings_takes_less_than_five_seconds(tmp_path: Path) -> None:
    block = np.random.default_rng(1).normal(10, 1, (100_000, 8))
    block[60_000:61_000, 2] += 4
    np.savetxt(tmp_path / "day.csv", block, fmt="%.4f", delimiter=",", header="a,b,c,d,e,f,g,h", comments="")
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    done = ronda("day.csv", folder=tmp_path)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert "Found 1 anomaly" in done.stdout
    # Of the processor: how long a person waits depends on what else the machine does.
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 5
    assert (tmp_path / "day.ronda.html").stat().st_size < 1_000_000


def test_a_recording_of_the_pump_rig_is_tried_without_a_word_of_help(tmp_path: Path) -> None:
    done = ronda(datasets.recording("skab/valve2/0.csv"), "--json", folder=tmp_path)
    told = json.loads(done.stdout)
    assert told["anomalies"][0]["sensors"][0]["name"] == "Volume Flow RateRMS"
    assert [stretch["delay_ms"] is not None for stretch in told["comparison"]["stretches"]] == [True]
