"""The one sentence: device, sensor, how much, since when, and what of the others; in both languages."""

from __future__ import annotations

from zoneinfo import ZoneInfo

import pytest

from detection.explain import Findings, Kind, Sensor
from detection.words import _NAMES, _WORDS, LANGUAGES, ratio_of, told

SINCE = 1_763_816_520_000
SAO_PAULO = ZoneInfo("America/Sao_Paulo")


def sensor(name: str = "vibration_de_rms_g", **changes: object) -> Sensor:
    fields = {"unit": "g", "share": 0.9, "seen": 0.48, "expected": 0.2, "expected_low": 0.17, "expected_high": 0.23}
    return Sensor(name=name, **(fields | changes))  # type: ignore[arg-type]


def sentence(*sensors: Sensor, kind: Kind = Kind.LEVEL) -> dict[str, str]:
    found = Findings(kind=kind, sensors=list(sensors), window_ms=[], window={})
    return told(found, device="pump-07", since_ms=SINCE, tz=SAO_PAULO).sentence


def test_a_ratio_where_it_means_something() -> None:
    assert sentence(sensor()) == {
        "en": "Since 10:02, the vibration at the drive end has been 2.4 times what pump-07 shows in normal running; "
        "the other sensors look normal.",
        "pt": "Desde as 10:02, a vibração no lado acoplado está 2,4 vezes o que pump-07 mostra em funcionamento "
        "normal; os outros sensores parecem normais.",
    }


def test_a_difference_with_its_unit_where_it_does_not() -> None:
    warm = sensor("motor_temperature_c", unit="°C", seen=72.34, expected=60.0, expected_low=58.5, expected_high=61.5)
    assert sentence(warm) == {
        "en": "Since 10:02, the motor temperature has been 12\N{NO-BREAK SPACE}°C above what pump-07 shows in normal "
        "running; the other sensors look normal.",
        "pt": "Desde as 10:02, a temperatura do motor está 12\N{NO-BREAK SPACE}°C acima do que pump-07 mostra em "
        "funcionamento normal; os outros sensores parecem normais.",
    }


def test_below_is_said_as_below() -> None:
    low = sensor("flow_lpm", unit="l/min", seen=96.5, expected=120.0, expected_low=118.0, expected_high=122.0)
    assert "the flow has been 24\N{NO-BREAK SPACE}l/min below" in sentence(low)["en"]
    assert "a vazão está 24\N{NO-BREAK SPACE}l/min abaixo" in sentence(low)["pt"]


def test_other_sensors_that_are_outside_are_named() -> None:
    also = sensor("current_a", unit="A", share=0.08, seen=5.0, expected=4.0, expected_low=3.7, expected_high=4.3)
    calm = sensor("pressure_bar", share=0.02, seen=3.0, expected=3.0, expected_low=2.9, expected_high=3.1)
    text = sentence(sensor(), also, calm)
    assert text["en"].endswith("; also affected: motor current.")
    assert text["pt"].endswith("; também afetados: corrente do motor.")


def test_an_unknown_name_is_quoted_as_it_is() -> None:
    text = sentence(sensor("Accelerometer1RMS"))
    assert text["en"].startswith("Since 10:02, “Accelerometer1RMS” has been 2.4 times")
    assert text["pt"].startswith("Desde as 10:02, “Accelerometer1RMS” está 2,4 vezes")


def test_a_unit_that_nobody_registered_is_left_out() -> None:
    odd = sensor("Volume Flow RateRMS", unit="", seen=31.4, expected=32.28, expected_low=31.5, expected_high=33.05)
    assert "“Volume Flow RateRMS” has been 0.88 below what" in sentence(odd)["en"]


def test_a_jump_and_rougher_running_have_their_own_words() -> None:
    warm = sensor("fluid_temperature_c", unit="°C", seen=27.5, expected=24.4, expected_low=24.0, expected_high=24.8)
    assert (
        "the fluid temperature of pump-07 has risen by 3.1\N{NO-BREAK SPACE}°C, faster"
        in sentence(warm, kind=Kind.JUMP)["en"]
    )
    assert (
        "a pressão de pump-07 oscila 4,2 vezes o que oscila"
        in sentence(sensor("pressure_bar", ratio=4.21), kind=Kind.ROUGHNESS)["pt"]
    )


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
