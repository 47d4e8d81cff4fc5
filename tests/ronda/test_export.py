"""`ronda export`: what is stored of a device, all of it, in three formats, whole or not at all."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import msgspec
import pytest

from cloud.storage import device_pages
from cloud.storage.anomalies import AnomalyStore
from cloud.storage.database import Database
from cloud.storage.devices import DeviceRecord, DeviceStore
from cloud.storage.readings import ReadingStore
from cloud.storage.resolution import Span
from cloud.storage.retention import DAY_MS, Keep, Retention
from cloud.storage.rollups import RollUps
from cloud.storage.verdicts import Judgement, Verdict, VerdictStore
from contract.events import Phase
from ronda.export import columns, export
from ronda.export_formats import ExportError, Format, Kind
from tests.support.anomalies import anomaly
from tests.support.database import database, database_url, postgres
from tests.support.readings import DEVICE, METRICS, SITE, START_MS, block

__all__ = ["database", "database_url", "postgres"]

_ALWAYS = Span(0, 2**63 - 1)


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_pages, "PAGE", 7)


@pytest.fixture
async def known(database: Database) -> DeviceRecord:
    """Readings of pump-07, some of the same moment, some without a temperature, and one anomaly with a verdict."""
    store = ReadingStore(database)
    await store.store([block(range(40)), block(range(5), boot="0" * 16)], [])
    await store.store([block(range(40, 45), metrics=list(METRICS[:2]), values=[[0.1] * 5, [1 / 3] * 5])], [])
    await store.store([block(range(45, 50)), block(range(50), device="pump-08")], [])
    raised = anomaly()
    await AnomalyStore(database).apply([raised], [], now_ms=START_MS)
    await VerdictStore(database).give(
        Verdict(
            anomaly_id=raised.anomaly_id, site=SITE, device=DEVICE, verdict=Judgement.TRUE, cause="bearing_wear",
            comment=None, given_by="admin", given_at_ms=START_MS, model_version="3",
        )
    )  # fmt: skip
    found = await DeviceStore(database).get(SITE, DEVICE)
    assert found is not None
    return found


def _csv(path: Path) -> list[dict[str, Any]]:
    with path.open(encoding="utf-8", newline="") as file:
        return [{name: _value(name, text) for name, text in row.items() if text} for row in csv.DictReader(file)]


def _value(name: str, text: str) -> Any:
    if name == "replayed":
        return text == "True"
    if name in {"boot", "request_id"}:
        return text
    return int(text) if name.endswith("_ms") or name == "seq" else float(text)


def _jsonl(path: Path) -> list[dict[str, Any]]:
    return [msgspec.json.decode(line) for line in path.read_bytes().splitlines()]


def _parquet(path: Path) -> list[dict[str, Any]]:
    import pyarrow.parquet as pq  # type: ignore[import-untyped]  # ships no types

    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist()
    return [{name: value for name, value in row.items() if value is not None} for row in rows]


_READ = {Format.CSV: _csv, Format.JSONL: _jsonl, Format.PARQUET: _parquet}


@pytest.mark.parametrize("form", Format)
async def test_every_reading_is_there_as_it_was_measured(
    known: DeviceRecord, database: Database, tmp_path: Path, form: Format
) -> None:
    folder = tmp_path / "out"
    counts = await export(database, known, _ALWAYS, form, folder, START_MS)
    assert counts == {f"readings.{form}": 55, "anomalies.jsonl": 1, "verdicts.jsonl": 1}
    assert {path.name for path in folder.iterdir()} == {*counts, "about.json"}
    stored = await ReadingStore(database).readings(SITE, DEVICE, limit=1000)
    expected = [
        {
            "measured_at_ms": stored.measured_at_ms[n], "received_at_ms": stored.received_at_ms[n],
            "boot": stored.boot[n], "seq": stored.seq[n], "replayed": False,
            **{name: stored.values[at][n] for at, name in enumerate(METRICS) if stored.values[at][n] is not None},
        }
        for n in range(55)
    ]  # fmt: skip
    assert _READ[form](folder / f"readings.{form}") == expected


async def test_anomalies_and_verdicts_come_with_them(known: DeviceRecord, database: Database, tmp_path: Path) -> None:
    await export(database, known, _ALWAYS, Format.CSV, tmp_path / "out", START_MS)
    [told] = _jsonl(tmp_path / "out" / "anomalies.jsonl")
    assert told["raised"]["phase"] == Phase.RAISED
    [judged] = _jsonl(tmp_path / "out" / "verdicts.jsonl")
    assert (judged["verdict"], judged["cause"]) == ("true", "bearing_wear")


async def test_a_span_has_both_its_ends(known: DeviceRecord, database: Database, tmp_path: Path) -> None:
    span = Span(START_MS + 10_000, START_MS + 20_000)
    counts = await export(database, known, span, Format.CSV, tmp_path / "out", START_MS)
    assert counts["readings.csv"] == 11


async def test_a_folder_that_is_there_is_not_touched(known: DeviceRecord, database: Database, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    with pytest.raises(ExportError, match="is there already"):
        await export(database, known, _ALWAYS, Format.CSV, tmp_path / "out", START_MS)
    assert list((tmp_path / "out").iterdir()) == []


async def test_what_fails_leaves_nothing_and_what_was_killed_is_begun_again(
    known: DeviceRecord, database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / ".out.part").mkdir()
    (tmp_path / ".out.part" / "readings.csv").write_text("half")

    async def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr("ronda.export._anomalies", full)
        with pytest.raises(ExportError, match="No space left"):
            await export(database, known, _ALWAYS, Format.CSV, tmp_path / "out", START_MS)
    assert list(tmp_path.iterdir()) == []
    counts = await export(database, known, _ALWAYS, Format.CSV, tmp_path / "out", START_MS)
    assert counts["readings.csv"] == 55


async def test_of_readings_that_are_gone_their_minutes_are_exported(
    known: DeviceRecord, database: Database, tmp_path: Path
) -> None:
    await RollUps(database).bring_up_to_date()
    await Retention(database).apply(Keep(90, 0, 0), START_MS + 200 * DAY_MS)
    counts = await export(database, known, _ALWAYS, Format.JSONL, tmp_path / "out", START_MS)
    assert (counts["readings.jsonl"], counts["minutes.jsonl"]) == (0, 2)
    first, second = _jsonl(tmp_path / "out" / "minutes.jsonl")
    assert first["readings"] + second["readings"] == 55
    assert second["temperature_c_count"] + first["temperature_c_count"] == 50
    assert first["current_a_min"] == 0.1
    assert first["current_a_mean"] == pytest.approx(
        (sum(n + 0.1 for n in range(20)) + sum(n + 0.1 for n in range(5))) / 25
    )


def test_a_metric_called_like_a_column_of_ours_keeps_its_values() -> None:
    assert list(columns({"seq": Kind.WHOLE}, ["seq", "seq_", "temperature_c"])) == [
        "seq", "seq_", "seq__", "temperature_c"
    ]  # fmt: skip
