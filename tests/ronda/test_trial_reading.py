"""Any reasonable CSV is read as its writer meant it; any other is refused in one sentence."""

from __future__ import annotations

import gzip
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from ronda.trial.errors import TrialError
from ronda.trial.intake import taken
from ronda.trial.recording import Recording, recorded
from tests.support.trials import NOW_MS, table, written

FIRST_MS = 1_772_323_200_000  # 2026-03-01 00:00:00 UTC


def read(folder: Path, text: str | bytes, name: str = "file.csv") -> Recording:
    return recorded(written(folder / name, text), now_ms=NOW_MS)


def notes(recording: Recording) -> str:
    return " ".join(str(note) for note in recording.notes)


@pytest.mark.parametrize(
    ("head", "row"),
    [
        ("time;a;b", "2026-03-01 00:{m}:{s};{a};{b}"),
        ("time,a,b", "2026-03-01T00:{m}:{s},{a},{b}"),
        ("time\ta\tb", "2026-03-01T00:{m}:{s}.000Z\t{a}\t{b}"),
        ("time|a|b", "2026/03/01 00:{m}:{s}|{a}|{b}"),
        ("time,a,b", "2026-02-28T21:{m}:{s}-03:00,{a},{b}"),
        ("time,a,b", "28.02.2026 21:{m}:{s}-03:00,{a},{b}"),
        ("time,a,b", "02/28/2026 09:{m}:{s} PM -0300,{a},{b}"),
        ("date,clock,a,b", "2026-03-01,00:{m}:{s},{a},{b}"),
        ("# from logger 7\ntime,a,b", '"2026-03-01 00:{m}:{s}","{a}","{b}"'),
        ("Logger 7, hall 2\n\ntime;a;b", "2026-03-01 00:{m}:{s};{a};{b}"),
        ("time,a,b\n,g,bar", "2026-03-01 00:{m}:{s},{a},{b}"),
    ],
)
def test_separator_header_and_time_are_told_from_the_content(tmp_path: Path, head: str, row: str) -> None:
    recording = read(tmp_path, table(head, 300, row))
    assert recording.metrics == ["a", "b"]
    assert recording.times[0] == FIRST_MS
    assert set(np.diff(recording.times)) == {1000}
    assert recording.values[:2, 0].tolist() == [0.05, 4.15]
    assert recording.values.shape == (300, 2)


@pytest.mark.parametrize(("factor", "digits"), [(1, "000"), (1000, ""), (1, "000000"), (1, "000000000")])
def test_epoch_times_are_read_in_whatever_unit(tmp_path: Path, factor: int, digits: str) -> None:
    unit = {"000": "ms", "": "s", "000000": "us", "000000000": "ns"}[digits]
    lines = [f"{FIRST_MS // 1000 + i}{digits},{i % 7},{i % 5}" for i in range(300)]
    recording = read(tmp_path, "\n".join([f"t_{unit},a,b", *lines]))
    assert recording.times[:2].tolist() == [FIRST_MS, FIRST_MS + 1000]


def test_the_decimal_comma_is_understood_with_its_thousands(tmp_path: Path) -> None:
    lines = [f"2026-03-01 00:{i // 60:02}:{i % 60:02};1.23{i % 10},5;{i % 7},25" for i in range(300)]
    recording = read(tmp_path, "\n".join(["Zeit;a;b", *lines]))
    assert recording.values[3].tolist() == [1233.5, 3.25]


def test_a_gzipped_file_in_latin_1_reads_the_same(tmp_path: Path) -> None:
    text = table("time;Temperatur [°C];b", 300, "2026-03-01 00:{m}:{s};{a};{b}").encode("latin-1")
    recording = read(tmp_path, gzip.compress(text), "file.csv.gz")
    assert recording.metrics == ["Temperatur [°C]", "b"]
    assert recording.units == {"Temperatur [°C]": "°C"}


def test_a_second_head_line_gives_the_units(tmp_path: Path) -> None:
    recording = read(tmp_path, table("time,a,b\n,g,bar", 300, "2026-03-01 00:{m}:{s},{a},{b}"))
    assert recording.units == {"a": "g", "b": "bar"}


def test_names_in_a_comment_are_the_names(tmp_path: Path) -> None:
    recording = read(tmp_path, table("# rig 3\n# time,a,b", 300, "2026-03-01 00:{m}:{s},{a},{b}"))
    assert recording.metrics == ["a", "b"]


def test_utf_16_as_a_spreadsheet_writes_it_is_read(tmp_path: Path) -> None:
    text = table("time\ta\tb", 300, "2026-03-01 00:{m}:{s}\t{a}\t{b}").encode("utf-16")
    assert read(tmp_path, text).values.shape == (300, 2)


def test_without_times_each_row_is_a_second_and_that_is_said(tmp_path: Path) -> None:
    recording = read(tmp_path, table(None, 300, "{a};{b}"))
    assert recording.metrics == ["column 1", "column 2"]
    assert recording.times[:3].tolist() == [0, 1000, 2000]
    assert "each row counts as one second" in notes(recording)
    assert recording.elapsed


def test_a_column_of_elapsed_seconds_is_the_time(tmp_path: Path) -> None:
    lines = [f"{i / 100:.2f},{i % 7},{i % 5}" for i in range(300)]
    recording = read(tmp_path, "\n".join(["Time [s],a,b", *lines]))
    assert recording.cadence_ms == 10
    assert "counts from the beginning" in notes(recording)


def test_a_zone_written_with_the_times_is_the_zone_they_are_shown_in(tmp_path: Path) -> None:
    recording = read(tmp_path, table("time,a,b", 300, "2026-03-01T00:{m}:{s}-03:00,{a},{b}"))
    assert recording.zone.utcoffset(None) == timedelta(hours=-3)


@pytest.mark.parametrize("name", ["anomaly", "Changepoint", "label", "is_fault", "Machine failure", "Normal/Attack"])
def test_a_label_is_never_a_sensor(tmp_path: Path, name: str) -> None:
    recording = read(tmp_path, table(f"time,a,b,{name}", 300, "2026-03-01 00:{m}:{s},{a},{b},0"))
    assert recording.metrics == ["a", "b"]
    assert str(recording.left_out[name]) == "is a label, so it is kept out of sight"
    assert recording.labels[name].tolist() == [0] * 300


def test_labels_in_words_are_understood(tmp_path: Path) -> None:
    lines = [f"{i},{i * 7919 % 101},{'Normal' if i < 250 else 'Leak'}" for i in range(300)]
    recording = read(tmp_path, "\n".join(["n,a,label", *lines]))
    assert recording.labels["label"].nonzero()[0].tolist() == list(range(250, 300))


def test_a_sensor_that_only_sounds_like_a_label_stays_a_sensor(tmp_path: Path) -> None:
    recording = read(tmp_path, table("time,fault_current_a,label_printer_speed", 300, "2026-03-01 00:{m}:{s},{a},{b}"))
    assert recording.metrics == ["fault_current_a", "label_printer_speed"]


def test_what_is_no_sensor_is_left_out_with_the_reason(tmp_path: Path) -> None:
    recording = read(tmp_path, table("n,time,a,site,always,none", 300, "{i},2026-03-01 00:{m}:{s},{a},hall 2,5,"))
    assert recording.metrics == ["a"]
    assert {name: str(why) for name, why in recording.left_out.items()} == {
        "n": "only counts the rows",
        "site": "holds text",
        "always": "never changes, it is always 5.0",
        "none": "is empty",
    }


def test_cells_that_are_no_numbers_count_as_missing_and_are_said(tmp_path: Path) -> None:
    lines = [f"2026-03-01 00:{i // 60:02}:{i % 60:02},{'err' if i == 7 else i % 7},{i % 5}" for i in range(300)]
    recording = read(tmp_path, "\n".join(["time,a,b", *lines]))
    assert np.isnan(recording.values[7, 0])
    assert "“a” that are no numbers and count as missing: 1, such as “err”" in notes(recording)


def test_what_no_sensor_can_measure_counts_as_missing(tmp_path: Path) -> None:
    lines = [f"2026-03-01 00:{i // 60:02}:{i % 60:02},{'1.7e308' if i == 7 else i % 7},{i % 5}" for i in range(300)]
    assert np.isnan(read(tmp_path, "\n".join(["time,a,b", *lines])).values[7, 0])


def test_rows_of_another_width_are_left_out_and_counted(tmp_path: Path) -> None:
    text = table("time,a,b", 300, "2026-03-01 00:{m}:{s},{a},{b}") + "2026-03-01 00:05:00,1\n"
    recording = read(tmp_path, text)
    assert len(recording.times) == 300
    assert "too few or too many cells, left out: 1" in notes(recording)


def test_times_out_of_order_are_sorted_with_their_values(tmp_path: Path) -> None:
    lines = table(None, 300, "2026-03-01 00:{m}:{s},{a},{b}").splitlines()
    recording = read(tmp_path, "\n".join(["time,a,b", *lines[100:], *lines[:100]]))
    assert (np.diff(recording.times) == 1000).all()
    assert recording.values[0, 0] == 0.05
    assert "sorted by time" in notes(recording)


def test_rows_from_before_the_clock_was_set_are_left_out(tmp_path: Path) -> None:
    early = table(None, 5, "1970-01-01 00:{m}:{s},{a},{b}")
    recording = read(tmp_path, "time,a,b\n" + early + table(None, 300, "2026-03-01 00:{m}:{s},{a},{b}"))
    assert len(recording.times) == 300
    assert "clock not set" in notes(recording)


def test_a_clock_that_was_never_set_still_counts(tmp_path: Path) -> None:
    recording = read(tmp_path, table("time,a,b", 300, "1970-01-01 00:{m}:{s},{a},{b}"))
    assert recording.elapsed
    assert recording.times[:2].tolist() == [0, 1000]


@pytest.mark.parametrize(
    ("name", "first", "step"),
    [
        ("timestamp", FIRST_MS // 1000, 1),
        ("ts", FIRST_MS, 1000),
        ("when", FIRST_MS, 1000),
        ("time_s", 0, 1),
        ("ms", 0, 1000),
    ],
)
def test_numbers_that_tell_the_time_are_told_as_such_though_the_rows_were_shuffled(
    tmp_path: Path, name: str, first: int, step: int
) -> None:
    order = np.random.default_rng(3).permutation(300)
    lines = [f"{first + step * i},{i / 1000},{i % 5}" for i in order]
    recording = read(tmp_path, "\n".join([f"{name},a,b", *lines]))
    assert recording.metrics == ["a", "b"]
    assert set(np.diff(recording.times)) == {1000}
    assert recording.values[:3, 0].tolist() == [0.0, 0.001, 0.002]
    assert "They were sorted by time" in notes(recording)


@pytest.mark.parametrize("name", ["time", "t", "elapsed"])
def test_a_sensor_with_the_name_of_a_time_stays_a_sensor(tmp_path: Path, name: str) -> None:
    lines = [f"{(17 * i) % 83},{i % 5}" for i in range(300)]
    assert read(tmp_path, "\n".join([f"{name},b", *lines])).metrics == [name, "b"]


def test_times_in_the_future_are_remarked_on(tmp_path: Path) -> None:
    recording = read(tmp_path, table("time,a,b", 300, "2071-03-01 00:{m}:{s},{a},{b}"))
    assert "lie in the future" in notes(recording)


def test_several_rows_in_one_tick_are_spread_over_it(tmp_path: Path) -> None:
    lines = [f"2026-03-01 00:00:{i // 10:02},{i % 7},{i % 5}" for i in range(300)]
    recording = read(tmp_path, "\n".join(["time,a,b", *lines]))
    assert set(np.diff(recording.times)) == {100}
    assert "spread evenly" in notes(recording)


def test_a_file_too_large_is_read_as_far_as_it_fits_and_that_is_said(tmp_path: Path) -> None:
    path = written(tmp_path / "file.csv", table("time,a,b", 20_000, "{i},{a},{b}"))
    intake = taken(path, max_numbers=16_000)
    assert intake.cut
    assert len(intake.values) == 8192


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"", "the file is empty"),
        (b" \n\n", "the file is empty"),
        (b"PK\x03\x04rest of a workbook", "is a workbook or a ZIP archive; save the sheet as CSV"),
        (b"PAR1 and more", "is Parquet"),
        (b"a\0b,c\0d", "not text"),
        (gzip.compress(table("time,a", 300, "{i},{a}").encode())[:200], "damaged or cut short"),
        (b"a,b\n", "there is a header and no row below it"),
        (b"a\n1\n2\n3\n", "one column"),
        (b"some words in a line\nand then some more of them\n", "not one table"),
        (b"a,b\nx,y\nu,v\n", "no column holds numbers"),
        (b"a,b\n" + b"1,2\n" * 300, "no column is a sensor: “a” never changes"),
        (b"1,2\n3,4\n" + b"1,2,3\n" * 9 + b"5,6\n" * 40, "do not have the 2 cells of the others"),
        (("t,a\n" + "\n".join(f"2026-03-0{i % 9 + 1}x,{i % 7}" for i in range(300))).encode(), None),
    ],
)
def test_what_is_no_recording_is_refused_in_one_sentence(tmp_path: Path, content: bytes, why: str | None) -> None:
    path = written(tmp_path / "file.csv", content)
    if why is None:
        assert str(recorded(path, now_ms=NOW_MS).left_out["t"]) == "holds text"
        return
    with pytest.raises(TrialError) as refused:
        recorded(path, now_ms=NOW_MS)
    assert str(refused.value).startswith(f"{path}: ")
    assert str(refused.value).count(str(path)) == 1
    assert why in str(refused.value)


def test_a_file_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(TrialError, match="No such file"):
        recorded(tmp_path / "nowhere.csv", now_ms=NOW_MS)
    with pytest.raises(TrialError, match="directory"):
        recorded(tmp_path, now_ms=NOW_MS)


def test_times_of_which_many_cannot_be_read_are_refused(tmp_path: Path) -> None:
    good = table("time,a,b", 2000, "2026-03-01 00:00:{s},{a},{b}")
    with pytest.raises(TrialError, match="times cannot be read"):
        read(tmp_path, good + table(None, 1000, "soon,{a},{b}"))
