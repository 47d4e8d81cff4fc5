"""Times as tables write them."""

from __future__ import annotations

import pytest

from edge.timestamps import time_reader

# 2020-03-09 15:56:30 and 15:56:31 UTC
FIRST_MS = 1_583_769_390_000


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("datetime", ["2020-03-09 15:56:30", "2020-03-09 15:56:31"]),
        ("anything", ["2020-03-09T15:56:30Z", "2020-03-09T15:56:31Z"]),
        ("x", ["2020-03-09T12:56:30-03:00", "2020-03-09T12:56:31-03:00"]),
        ("x", ["2020-03-09 15:56:30.000", "2020-03-09 15:56:31.000"]),
        ("Data", ["09/03/2020 15:56:30", "09/03/2020 15:56:31"]),
        ("Datum", ["09.03.2020 15:56:30", "09.03.2020 15:56:31"]),
        ("x", ["2020/03/09 15:56:30", "2020/03/09 15:56:31"]),
        ("timestamp", ["1583769390", "1583769391"]),
        ("ts", ["1583769390000", "1583769391000"]),
        ("epoch_us", ["1583769390000000", "1583769391000000"]),
        ("time", ["1583769390.0", "1583769391.0"]),
    ],
)
def test_common_ways_of_writing_a_time_are_read(name, cells):
    read = time_reader(name, cells)
    assert read is not None
    assert [read(cell) for cell in cells] == [FIRST_MS, FIRST_MS + 1000]


def test_the_month_comes_first_where_only_that_fits():
    cells = ["03/09/2020 15:56:30", "03/21/2020 15:56:30"]
    read = time_reader("x", cells)
    assert read is not None
    assert read(cells[0]) == FIRST_MS


@pytest.mark.parametrize(
    ("name", "cells"),
    [
        ("Current", ["1583769390", "1583769391"]),
        ("Pressure", ["-0.273216", "0.382638"]),
        ("text", ["on", "off"]),
        ("date", ["2020-03-09", "2020-03-09"]),
        ("time", ["0.0", "1.0"]),
        ("empty", ["", ""]),
    ],
)
def test_what_is_no_time_or_stands_still_is_not_taken_for_one(name, cells):
    assert time_reader(name, cells) is None


def test_a_few_unreadable_cells_do_not_hide_the_column():
    cells = ["2020-03-09 15:56:30", "?", "2020-03-09 15:56:31", ""]
    read = time_reader("datetime", cells)
    assert read is not None
    assert [read(cell) for cell in cells] == [FIRST_MS, None, FIRST_MS + 1000, None]
