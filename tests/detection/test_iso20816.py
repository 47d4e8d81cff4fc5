"""The zones of ISO 20816 apply to velocities alone, and everything else is told why it has none."""

from __future__ import annotations

import pytest

from detection.errors import DetectionError
from detection.iso20816 import CLASSES, Boundary, class_of, label, machine_class, mm_s_per, spoken


@pytest.mark.parametrize(
    ("key", "boundaries"),
    [
        ("group1-rigid", (2.3, 4.5, 7.1)),
        ("group1-flexible", (3.5, 7.1, 11.0)),
        ("group2-rigid", (1.4, 2.8, 4.5)),
        ("group2-flexible", (2.3, 4.5, 7.1)),
        ("pump1-to-200kw", (2.5, 4.0, 6.6)),
        ("pump1-above-200kw", (3.5, 5.0, 7.6)),
        ("pump2-to-200kw", (3.2, 5.1, 8.5)),
        ("pump2-above-200kw", (4.2, 6.1, 9.5)),
        ("class1", (0.71, 1.8, 4.5)),
        ("class4", (2.8, 7.1, 18.0)),
    ],
)
def test_the_boundaries_are_those_of_the_standards(key: str, boundaries: tuple[float, float, float]) -> None:
    assert machine_class(key).boundaries == boundaries


def test_every_class_gets_worse_from_zone_to_zone_and_says_where_it_is_from() -> None:
    for each in CLASSES.values():
        assert list(each.boundaries) == sorted(set(each.boundaries))
        assert each.standard.startswith("ISO ")
        assert each.name.keys() == {"en", "pt"}
        assert each.at(Boundary.B_C) < each.at(Boundary.C_D)


@pytest.mark.parametrize(
    ("unit", "factor"), [("mm/s", 1.0), ("mm/s RMS", 1.0), ("mm/s (rms)", 1.0), ("in/s", 25.4), ("ips", 25.4)]
)
def test_velocities_in_other_units_are_converted(unit: str, factor: float) -> None:
    assert mm_s_per(unit, "vibration_de") == factor


@pytest.mark.parametrize(
    ("unit", "metric", "why"),
    [
        (
            "g",
            "vibration_de_rms_g",
            "vibration_de_rms_g: acceleration in g has no ISO 20816 zone: measure the velocity",
        ),
        ("m/s²", "a", "acceleration in m/s² has no ISO 20816 zone"),
        ("µm", "shaft", "displacement in µm has no ISO 20816 zone"),
        ("mm/s", "velocity_peak_mm_s", "a peak value has no ISO 20816 zone"),
        ("°C", "temperature_c", "'°C' is no unit of velocity"),
        ("", "vibration", "vibration: its unit is not registered"),
    ],
)
def test_what_is_no_velocity_is_refused_with_the_reason(unit: str, metric: str, why: str) -> None:
    with pytest.raises(DetectionError) as refused:
        mm_s_per(unit, metric)
    assert why in str(refused.value)
    assert str(refused.value).endswith("measure the velocity in mm/s r.m.s. over 10 to 1000 Hz")


def test_a_class_that_is_not_there_is_told_which_are() -> None:
    with pytest.raises(DetectionError, match="there is no machine class 'group3'; choose one of group1-rigid, "):
        machine_class("group3")


def test_a_stored_label_is_spoken_in_both_languages() -> None:
    stored = label("group2-rigid", Boundary.C_D)
    assert class_of(stored) == "group2-rigid"
    assert spoken(stored, "en") == "ISO 20816-3, zone C/D, group 2 rigid"
    assert spoken(stored, "pt") == "ISO 20816-3, zona C/D, grupo 2 rígido"
    assert spoken("as agreed with Ana", "en") == "as agreed with Ana"
