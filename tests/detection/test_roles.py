"""What a sensor measures and where, by its unit and name, in English, Portuguese and the short forms of both."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from detection.roles import Place, Quantity, Role, role_of
from edge.metrics import METRICS

Q, P = Quantity, Place


@pytest.mark.parametrize(
    ("metric", "role"),
    [
        ("vibration_de_rms_g", Role(Q.VIBRATION, P.DRIVE_END)),
        ("vibration_nde_rms_g", Role(Q.VIBRATION, P.OTHER_END)),
        ("current_a", Role(Q.CURRENT)),
        ("pressure_bar", Role(Q.PRESSURE)),
        ("motor_temperature_c", Role(Q.TEMPERATURE, P.MOTOR)),
        ("fluid_temperature_c", Role(Q.TEMPERATURE, P.FLUID)),
        ("voltage_v", Role(Q.VOLTAGE)),
        ("flow_lpm", Role(Q.FLOW)),
    ],
)
def test_our_own_metrics_are_known_with_and_without_their_unit(metric: str, role: Role) -> None:
    unit = next(each.unit for each in METRICS if each.name == metric)
    assert role_of(metric) == role_of(metric, unit) == role


@pytest.mark.parametrize(
    ("metric", "role"),
    [
        ("Accelerometer1RMS", Role(Q.VIBRATION)),
        ("Current", Role(Q.CURRENT)),
        ("Pressure", Role(Q.PRESSURE)),
        ("Temperature", Role(Q.TEMPERATURE)),
        ("Thermocouple", Role(Q.TEMPERATURE)),
        ("Voltage", Role(Q.VOLTAGE)),
        ("Volume Flow RateRMS", Role(Q.FLOW)),
    ],
)
def test_the_pump_rigs_names_are_known(metric: str, role: Role) -> None:
    assert role_of(metric) == role


@pytest.mark.parametrize(
    ("metric", "role"),
    [
        ("Vibração mancal LOA", Role(Q.VIBRATION, P.OTHER_END)),
        ("vibração lado acoplado", Role(Q.VIBRATION, P.DRIVE_END)),
        ("corrente_motor", Role(Q.CURRENT, P.MOTOR)),
        ("Tensão R-S", Role(Q.VOLTAGE)),
        ("pressao_recalque", Role(Q.PRESSURE, P.DISCHARGE)),
        ("Pressão de sucção", Role(Q.PRESSURE, P.SUCTION)),
        ("Vazão", Role(Q.FLOW)),
        ("rotação", Role(Q.SPEED)),
        ("Temperatura do enrolamento", Role(Q.TEMPERATURE, P.MOTOR)),
        ("potência", Role(Q.POWER)),
    ],
)
def test_portuguese_names_are_known_with_and_without_accents(metric: str, role: Role) -> None:
    assert role_of(metric) == role


@pytest.mark.parametrize("metric", ["vibracao_de_motor", "temp_de_motor", "temperatura de mancal", "nivel_de_agua"])
def test_the_portuguese_of_is_no_drive_end(metric: str) -> None:
    assert role_of(metric).place is not Place.DRIVE_END


@pytest.mark.parametrize("metric", ["vib_de_1", "bearingDE_vib", "VIBRATION-DE", "motor vibration DE"])
def test_the_short_form_of_drive_end_is_known_beside_english_words(metric: str) -> None:
    assert role_of(metric) == Role(Q.VIBRATION, P.DRIVE_END)


@pytest.mark.parametrize(
    ("metric", "unit", "quantity"),
    [
        ("pressure", "A", Q.CURRENT),
        ("accelerometer", "°C", Q.TEMPERATURE),
        ("ch7", "mm/s", Q.VIBRATION),
        ("ch7", "m³/h", Q.FLOW),
        ("ch7", "rpm", Q.SPEED),
        ("current temperature", "°C", Q.TEMPERATURE),
    ],
)
def test_the_unit_wins_over_the_name(metric: str, unit: str, quantity: Quantity) -> None:
    assert role_of(metric, unit).quantity is quantity


@pytest.mark.parametrize(("metric", "unit"), [("ch7", ""), ("current temperature", ""), ("x", "Hz"), ("out", "mA")])
def test_what_nothing_tells_or_two_things_tell_stays_unknown(metric: str, unit: str) -> None:
    assert role_of(metric, unit) == Role()


def test_a_unit_with_a_second_meaning_leaves_it_to_the_name() -> None:
    assert role_of("discharge pressure", "mA") == Role(Q.PRESSURE, P.DISCHARGE)


@given(st.text(max_size=64), st.text(max_size=12))
def test_no_name_and_no_unit_is_too_strange(metric: str, unit: str) -> None:
    role = role_of(metric, unit)
    assert role.quantity is not None or role.place is None
