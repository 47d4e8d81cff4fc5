"""What `ronda limits` is given is read, put beside what is set, and shown in a line each."""

from __future__ import annotations

import pytest

from ronda.limits import LimitsError, again, lines, merged, parsed

ZONE = {"label": {"en": "ISO 20816-3, zone B/C, group 2 rigid", "pt": ""}, "class": "group2-rigid", "unit": "mm/s"}
SET = [
    {"metric": "v", "low": None, "high": 2.8, "severity": "warning", "source": "iso20816", **ZONE},
    {"metric": "v", "low": None, "high": 4.5, "severity": "critical", "source": "iso20816", **ZONE},
    {
        "metric": "t", "low": 5.0, "high": 90.0, "severity": "warning", "source": "user", "unit": "°C",
        "label": {"en": "", "pt": ""}, "class": None,
    },
]  # fmt: skip


def test_a_limit_is_read_from_one_word() -> None:
    assert parsed("vibration_de_mm_s:high=4.5:warning") == {
        "metric": "vibration_de_mm_s", "high": 4.5, "severity": "warning",
    }  # fmt: skip
    assert parsed("pump: inlet:low=-1,high=3:critical") == {
        "metric": "pump: inlet", "low": -1.0, "high": 3.0, "severity": "critical",
    }  # fmt: skip


@pytest.mark.parametrize("text", ["", "v", "v:high=4.5", "v:4.5:warning", "v:high=x:warning", "v:top=1:warning", ":"])
def test_what_cannot_be_read_is_told_how_it_is_written(text: str) -> None:
    with pytest.raises(LimitsError, match=r"such as vibration_de_mm_s:high=4\.5:warning"):
        parsed(text)


def test_what_is_set_stays_and_what_is_new_takes_its_place() -> None:
    kept = again(SET)
    assert kept == [
        {"metric": "t", "low": 5.0, "high": 90.0, "severity": "warning", "label": ""},
        {"iso20816": {"metric": "v", "class": "group2-rigid"}},
    ]
    new = [parsed("t:high=95:warning"), {"iso20816": {"metric": "v", "class": "group1-rigid"}}]
    assert merged(kept, new) == new
    assert merged(kept, [parsed("t:high=99:critical")]) == [*kept, parsed("t:high=99:critical")]


def test_a_line_says_metric_bounds_severity_and_where_it_is_from() -> None:
    assert " ".join(lines(SET)[2].split()) == "t above 5 °C and below 90 °C warning user"
    assert lines(SET)[1].endswith("critical  ISO 20816-3, zone B/C, group 2 rigid")
    assert lines([]) == ["no limits are set"]
