"""A recording plays as a machine of its own: its fault is found and named, its healthy running is left alone."""

from __future__ import annotations

import csv
import random
import statistics
from pathlib import Path
from typing import Any

from tests.support.datasets import recording
from tests.support.installation import Ronda, until

LEARN_ROWS = 400
# At this speed a recording of twenty minutes takes twenty seconds, and its model comes while it plays.
SPEED = 60

Row = dict[str, str]


def rows_of(path: Path) -> list[Row]:
    with path.open() as file:
        return list(csv.DictReader(file, delimiter=";"))


def write(path: Path, rows: list[Row]) -> Path:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]), delimiter=";")
        writer.writeheader()
        writer.writerows(rows)
    return path


def play(ronda: Ronda, path: Path, device: str) -> list[dict[str, Any]]:
    """Play it, wait until its last row was judged, and return the anomalies, oldest first."""
    said = ronda.run(
        "emulate", "--replay", str(path), "--data", str(ronda.data), "--device", device,
        "--learn-rows", str(LEARN_ROWS), "--speed", str(SPEED), timeout=180,
    )  # fmt: skip
    assert "accounted for" in said
    newest = f"SELECT max(measured_at_ms) FROM readings WHERE device = '{device}'"
    judged = f"SELECT 1 FROM detector_states WHERE device = '{device}' AND measured_at_ms >= ({newest})"
    until(lambda: ronda.sql(judged) or None, "the last row to be judged", 60)
    return ronda.get("/api/v1/anomalies", device=device)["items"][::-1]


def healthy() -> list[Row]:
    """Rows 2253 to 3378 of the healthy run: as long as the recording with a fault."""
    return rows_of(recording("skab/anomaly-free/anomaly-free.csv"))[2252:3378]


def test_a_recorded_fault_is_found_within_its_label_and_a_sensor_is_named(ronda: Ronda) -> None:
    path = recording("skab/valve2/0.csv")
    anomalies = play(ronda, path, "valve")
    assert anomalies
    labels = [row["anomaly"] == "1.0" for row in rows_of(path)]
    times = [row[0] for row in ronda.sql("SELECT measured_at_ms FROM readings WHERE device = 'valve' ORDER BY 1")]
    faulty = [at for at, label in zip(times, labels, strict=True) if label]
    within = [item for item in anomalies if faulty[0] <= item["raised_at_ms"] <= faulty[-1]]
    assert within
    # The outlet valve closes: flow, pressure, the motor's load and what it does to the rig.
    assert within[0]["sensors"][0]["name"] not in {"Voltage", "Thermocouple"}
    mails = [mail["correlation_id"] for mail in ronda.get("/api/v1/mails")["items"]]
    assert within[0]["correlation_id"] in mails


def test_healthy_running_raises_nothing(ronda: Ronda, tmp_path: Path) -> None:
    assert play(ronda, write(tmp_path / "healthy.csv", healthy()), "healthy") == []


def test_a_fault_written_onto_any_channel_is_named_whatever_the_channels_are_called(
    ronda: Ronda, tmp_path: Path
) -> None:
    chance = random.Random()
    seed = chance.randrange(2**32)
    chance.seed(seed)
    rows = healthy()
    channels = [name for name in rows[0] if name != "datetime"]
    names = dict(zip(channels, chance.sample(channels, len(channels)), strict=True))
    hurt = chance.choice(channels)
    # A step that a technician would call clear: ten healthy deviations, from two thirds of the recording on.
    deviation = statistics.pstdev(float(row[hurt]) for row in rows[:LEARN_ROWS])
    for row in rows[750:]:
        row[hurt] = str(float(row[hurt]) + 10 * deviation)
    renamed = [{names.get(name, name): value for name, value in row.items()} for row in rows]
    anomalies = play(ronda, write(tmp_path / "hurt.csv", renamed), f"hurt-{seed % 10_000}")
    assert anomalies, f"seed {seed}: nothing found on {hurt}"
    assert anomalies[0]["sensors"][0]["name"] == names[hurt], f"seed {seed}"
