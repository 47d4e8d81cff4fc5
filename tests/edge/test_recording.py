"""What counts as a recording, what of it is played, and how anything else is refused."""

from __future__ import annotations

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edge.recording import RecordingError, parse_recording, read_recording
from tests.support.datasets import recording as recording_file

TIMES = ["2020-03-09 15:56:30", "2020-03-09 15:56:31", "2020-03-09 15:56:33"]


def table(separator: str = ";", times: list[str] = TIMES, end: str = "\n") -> str:
    lines = [separator.join(["datetime", "Current", "Volume Flow RateRMS", "anomaly", "changepoint"])]
    lines += [separator.join([at, f"1.{n}", f"32.{n}", "0.0", "0.0"]) for n, at in enumerate(times)]
    return end.join(lines) + end


@pytest.mark.parametrize("separator", [";", ",", "\t"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_the_separator_does_not_matter(separator, end):
    recording = parse_recording(table(separator, end=end))
    assert recording.names == ("Current", "Volume Flow RateRMS")
    assert recording.rows == ((1.0, 32.0), (1.1, 32.1), (1.2, 32.2))
    assert recording.ignored == ("anomaly", "changepoint")
    assert not recording.skipped


def test_the_spacing_is_that_of_the_file():
    times = parse_recording(table()).times_ms
    assert [at - times[0] for at in times] == [0, 1000, 3000]


def test_the_time_column_may_stand_anywhere_and_have_any_name():
    recording = parse_recording("a,quando,b\n1,09/03/2020 15:56:30,2\n3,09/03/2020 15:56:31,4\n")
    assert (recording.names, recording.rows) == (("a", "b"), ((1.0, 2.0), (3.0, 4.0)))


def test_decimal_commas_are_read_where_the_comma_separates_nothing():
    assert parse_recording("datetime;p\n2020-03-09 15:56:30;1,5\n2020-03-09 15:56:31;2,5\n").rows == ((1.5,), (2.5,))


def test_rows_that_cannot_be_played_are_left_out_and_counted_by_reason():
    lines = [
        "datetime;a;b",
        "2020-03-09 15:56:30;1;2",
        "2020-03-09 15:56:31;;2",
        "2020-03-09 15:56:32;1;nan",
        "2020-03-09 15:56:33;1;inf",
        "yesterday;1;2",
        "2020-03-09 15:56:34;1",
        "2020-03-09 15:56:29;1;2",
        "",
        "2020-03-09 15:56:35;3;4",
    ]
    recording = parse_recording("\n".join(lines))
    assert recording.rows == ((1.0, 2.0), (3.0, 4.0))
    assert recording.skipped == {
        "missing or unreadable value": 3,
        "unreadable time": 1,
        "wrong number of columns": 1,
        "time going back": 1,
    }


def test_equal_times_are_both_kept():
    assert len(parse_recording(table(times=[TIMES[0], TIMES[0], TIMES[1]])).rows) == 3


def test_columns_that_no_sensor_wrote_are_ignored_and_named():
    text = "datetime;Anomaly;;state;p\n2020-03-09 15:56:30;0;0;on;1\n2020-03-09 15:56:31;1;1;on;2\n"
    recording = parse_recording(text)
    assert (recording.names, recording.ignored) == (("p",), ("Anomaly", "", "state"))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "names no columns"),
        ("just words\nmore words\n", "names no columns"),
        ("datetime;a\n", "a header and no rows"),
        ("2020-03-09 15:56:30;1;2\n2020-03-09 15:56:31;3;4\n", "numbers where the names"),
        ("a;b\n1;2\n3;4\n", "none of its columns (a, b) can be read as dates"),
        ("datetime;state\n2020-03-09 15:56:30;on\n2020-03-09 15:56:31;off\n", "none of its columns holds measurements"),
        ("datetime;a;a\n2020-03-09 15:56:30;1;2\n", "two of its columns are called 'a'"),
        (
            "datetime;a\n2020-03-09 15:56:30;1\n2020-03-09 15:56:29;1\n",
            "left out: 1 with time going back",
        ),
        ("datetime;a\n1;2;3\n1;2;3\n", "none of its rows has as many columns"),
        ("datetime;" + "x" * 65 + "\n2020-03-09 15:56:30;1\n2020-03-09 15:56:31;2\n", "1 to 64 printable"),
        ('datetime;a\n2020-03-09 15:56:30;"1\n' + "x" * 200_000, "not a table"),
    ],
)
def test_what_is_no_recording_is_refused_in_one_line(text, reason):
    with pytest.raises(RecordingError) as caught:
        parse_recording(text)
    assert reason in str(caught.value)
    assert "\n" not in str(caught.value)


def test_more_sensors_than_a_device_has_are_refused():
    names = [f"m{n}" for n in range(65)]
    row = ";".join(["1"] * 65)
    text = f"datetime;{';'.join(names)}\n{TIMES[0]};{row}\n{TIMES[1]};{row}\n"
    with pytest.raises(RecordingError, match="65 columns with measurements; a device has at most 64"):
        parse_recording(text)


@pytest.mark.parametrize(("name", "content"), [("x.png", b"\x89PNG\0\0"), ("empty.csv", b"")])
def test_a_file_that_is_no_recording_is_named(tmp_path, name, content):
    (tmp_path / name).write_bytes(content)
    with pytest.raises(RecordingError, match=rf"{name} is not a recording"):
        read_recording(tmp_path / name)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(RecordingError, match=r"cannot read the recording .*missing\.csv: No such file"):
        read_recording(tmp_path / "missing.csv")
    with pytest.raises(RecordingError, match=r"cannot read the recording .*directory"):
        read_recording(tmp_path)


def test_names_written_on_an_old_spreadsheet_are_read(tmp_path):
    path = tmp_path / "x.csv"
    path.write_bytes("datetime;Temp °C\n2020-03-09 15:56:30;1\n2020-03-09 15:56:31;2\n".encode("latin-1"))
    assert read_recording(path).names == ("Temp °C",)


def test_a_recording_of_a_real_rig_is_played_whole():
    recording = read_recording(recording_file("skab/valve2/0.csv"))
    assert len(recording.rows) == 1125
    assert recording.names[0] == "Accelerometer1RMS"
    assert len(recording.names) == 8
    assert recording.ignored == ("anomaly", "changepoint")
    assert not recording.skipped


@given(st.text(max_size=300))
def test_no_text_does_worse_than_a_refusal(text):
    with contextlib.suppress(RecordingError):
        assert len(parse_recording(text).rows) >= 2
