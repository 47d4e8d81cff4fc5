"""The one sentence: device, sensor, how much, since when, and what of the others; in both languages."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import msgspec
import pytest

from detection.explain import Findings, Sensor
from detection.kinds import Kind
from detection.roles import Quantity
from detection.signs import LOAD
from detection.words import _NAMES, _QUANTITIES, _WORDS, LANGUAGES, ratio_of, told

SINCE = 1_763_816_520_000
SAO_PAULO = ZoneInfo("America/Sao_Paulo")


def sensor(name: str = "vibration_de_rms_g", **changes: object) -> Sensor:
    fields = {"unit": "g", "share": 0.9, "seen": 0.48, "expected": 0.2, "expected_low": 0.17, "expected_high": 0.23}
    return Sensor(name=name, **(fields | changes))  # type: ignore[arg-type]


def sentence(*sensors: Sensor, kind: Kind = Kind.LEVEL) -> dict[str, str]:
    found = Findings(kind=kind, sensors=list(sensors), window_ms=[], window={})
    return told(found, device="pump-07", since_ms=SINCE, tz=SAO_PAULO).sentence


def unchanged(name: str, unit: str = "A") -> Sensor:
    return sensor(name, unit=unit, share=0.0, seen=4.01, expected=4.0, expected_low=3.7, expected_high=4.3)


def test_the_sentence_says_what_how_much_since_when_what_did_not_change_and_what_that_looks_like() -> None:
    assert sentence(sensor(), unchanged("current_a")) == {
        "en": "The vibration at the drive end of pump-07 has been 2.4 times its usual level since 10:02, current "
        "unchanged: looks mechanical, not load.",
        "pt": "A vibração no lado acoplado de pump-07 está em 2,4 vezes o nível habitual desde as 10:02, corrente "
        "inalterada: parece mecânico, não de carga.",
    }


def test_several_that_did_not_change_are_listed() -> None:
    text = sentence(sensor(), unchanged("pressure_bar", "bar"), unchanged("flow_lpm", "l/min"), unchanged("current_a"))
    assert "since 10:02; current, flow and pressure unchanged: looks" in text["en"]
    assert "desde as 10:02; corrente, vazão e pressão inalteradas: parece" in text["pt"]


def test_where_the_load_changed_the_vibration_that_did_not_is_named() -> None:
    low = sensor("flow_lpm", unit="l/min", seen=96.5, expected=120.0, expected_low=118.0, expected_high=122.0)
    text = sentence(low, unchanged("vibration_de_rms_g", "g"), unchanged("current_a"))
    assert text["en"].endswith("since 10:02, vibration unchanged: looks hydraulic, not mechanical.")
    assert text["pt"].endswith("desde as 10:02, vibração inalterada: parece hidráulico, não mecânico.")


def test_where_the_rules_do_not_tell_the_sentence_says_nothing_of_it() -> None:
    warm = sensor("motor_temperature_c", unit="°C", seen=72.34, expected=60.0, expected_low=58.5, expected_high=61.5)
    assert sentence(warm) == {
        "en": "The motor temperature of pump-07 has been 12\N{NO-BREAK SPACE}°C above its usual level since 10:02.",
        "pt": "A temperatura do motor de pump-07 está 12\N{NO-BREAK SPACE}°C acima do nível habitual desde as 10:02.",
    }


def test_below_is_said_as_below() -> None:
    low = sensor("flow_lpm", unit="l/min", seen=96.5, expected=120.0, expected_low=118.0, expected_high=122.0)
    assert "The flow of pump-07 has been 24\N{NO-BREAK SPACE}l/min below" in sentence(low)["en"]
    assert "A vazão de pump-07 está 24\N{NO-BREAK SPACE}l/min abaixo" in sentence(low)["pt"]


def test_other_sensors_that_are_outside_are_named() -> None:
    also = sensor("current_a", unit="A", share=0.08, seen=5.0, expected=4.0, expected_low=3.7, expected_high=4.3)
    calm = sensor("pressure_bar", unit="bar", share=0.02, seen=3.0, expected=3.0, expected_low=2.9, expected_high=3.1)
    text = sentence(sensor(), also, calm)
    assert text["en"].endswith("; also affected: motor current; pressure unchanged.")
    assert text["pt"].endswith("; também fora do habitual: corrente do motor; pressão inalterada.")


def test_a_sensor_with_a_large_share_that_did_not_move_is_not_called_affected() -> None:
    assert "also" not in sentence(sensor(), msgspec.structs.replace(unchanged("voltage_v", "V"), share=0.3))["en"]


def test_an_unknown_name_is_quoted_as_it_is() -> None:
    text = sentence(sensor("Accelerometer1RMS"))
    assert text["en"].startswith("“Accelerometer1RMS” of pump-07 has been 2.4 times")
    assert text["pt"].startswith("“Accelerometer1RMS” de pump-07 está em 2,4 vezes")


def test_a_unit_that_nobody_registered_is_left_out() -> None:
    odd = sensor("Volume Flow RateRMS", unit="", seen=31.4, expected=32.28, expected_low=31.5, expected_high=33.05)
    assert "“Volume Flow RateRMS” of pump-07 has been 0.88 below its" in sentence(odd)["en"]


def test_a_jump_and_rougher_running_have_their_own_words() -> None:
    warm = sensor("fluid_temperature_c", unit="°C", seen=27.5, expected=24.4, expected_low=24.0, expected_high=24.8)
    jumped = sentence(warm, kind=Kind.JUMP)["en"]
    rough = sentence(sensor("pressure_bar", ratio=4.21), kind=Kind.ROUGHNESS)["pt"]
    assert "fluid temperature of pump-07 has risen by 3.1\N{NO-BREAK SPACE}°C since 10:02, faster" in jumped
    assert "A pressão de pump-07 oscila 4,2 vezes o habitual desde as 10:02" in rough


@pytest.mark.parametrize(("hours", "article"), [(0, "as 10:02"), (-9, "a 01:02"), (-10, "a 00:02"), (-8, "as 02:02")])
def test_portuguese_says_one_and_midnight_in_the_singular(hours: int, article: str) -> None:
    found = Findings(kind=Kind.LEVEL, sensors=[sensor()], window_ms=[], window={})
    text = told(found, device="pump-07", since_ms=SINCE + hours * 3_600_000, tz=SAO_PAULO).sentence
    assert f"desde {article}" in text["pt"]


@pytest.mark.parametrize(
    ("changes", "ratio"),
    [
        ({}, 2.4),
        ({"seen": 0.08}, 0.4),
        ({"seen": 0.24}, None),
        ({"seen": -0.3}, None),
        ({"unit": "°C"}, None),
        ({"expected": 0.05, "expected_low": -0.3, "expected_high": 0.4}, None),
        ({"expected": 0.0}, None),
    ],
)
def test_ratios_are_used_only_away_from_zero_and_when_large(changes: dict[str, float], ratio: float | None) -> None:
    assert ratio_of(sensor(**changes)) == (None if ratio is None else pytest.approx(ratio))


def test_both_languages_know_the_same_names_and_phrases() -> None:
    assert set(_NAMES) == set(_WORDS) == set(LANGUAGES)
    assert len({frozenset(names) for names in _NAMES.values()}) == 1
    assert len({frozenset(words) for words in _WORDS.values()}) == 1
    assert set(_QUANTITIES["en"]) == set(_QUANTITIES["pt"]) >= {*LOAD, Quantity.VIBRATION}
