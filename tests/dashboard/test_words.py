"""Every word in both languages, numbers and times as the reader writes them."""

from __future__ import annotations

import re
from datetime import UTC
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from babel.messages.extract import extract_from_dir

from cloud.notifications import numbers
from cloud.notifications.sensors import sensor_name
from dashboard.language import LANGUAGES, LOCALES, NO_BREAK, Words, catalogue, choose_language
from dashboard.sensors import label
from detection import words as spoken
from tests.dashboard.plant import NOW_MS

DASHBOARD = LOCALES.parent
# `say("…")` and `say.count("one", "many", n)`.
KEYWORDS = {"say": None, "count": (1, 2)}


def said() -> set[tuple[str, ...]]:
    """Every message in the source: (id,) or (one, many)."""
    found = extract_from_dir(DASHBOARD, method_map=[("**.py", "python")], keywords=KEYWORDS)
    return {(message,) if isinstance(message, str) else tuple(message) for _, _, message, _, _ in found}


def forms(message: str) -> tuple[str, ...]:
    translation = catalogue("pt")[message]
    return (translation,) if isinstance(translation, str) else translation


def test_every_message_is_translated() -> None:
    missing = [message[0] for message in said() if not all(forms(message[0]))]
    assert missing == []


def test_the_catalogue_holds_nothing_that_nobody_says() -> None:
    assert set(catalogue("pt")) == {message[0] for message in said()}


def test_a_translation_keeps_the_places_for_values() -> None:
    for message in said():
        wanted = [set(re.findall(r"\{\w+\}", form)) for form in message]
        assert [set(re.findall(r"\{\w+\}", form)) for form in forms(message[0])] == wanted, message


def test_both_forms_of_a_plural_are_translated() -> None:
    assert all(len(forms(message[0])) == len(message) for message in said())


def test_no_sentence_is_put_together_where_translators_cannot_see_it() -> None:
    hidden = re.compile(r"f\"[^\"\n]*\{say\(|f'[^'\n]*\{say\(|say\(f[\"']")
    guilty = [str(path) for path in Path(DASHBOARD).rglob("*.py") if hidden.search(path.read_text("utf-8"))]
    assert guilty == []


@pytest.mark.parametrize(
    ("cookie", "accepts", "spoken"),
    [
        ("pt", "en-US,en", "pt"),
        (None, "pt-BR,pt;q=0.9,en;q=0.8", "pt"),
        (None, "de-DE,de;q=0.9,en;q=0.5", "en"),
        ("xx", "fr", "en"),
        (None, "", "en"),
    ],
)
def test_the_readers_choice_goes_before_the_browsers(cookie: str | None, accepts: str, spoken: str) -> None:
    assert choose_language(cookie, accepts) == spoken


def test_numbers_and_times_follow_the_reader() -> None:
    english, portuguese = Words("en", UTC), Words("pt", ZoneInfo("America/Sao_Paulo"))
    assert (english.number(8_412_077), portuguese.number(8_412_077)) == ("8,412,077", "8.412.077")
    assert (english.value(0.5213, "g"), portuguese.value(0.5213, "g")) == (f"0.52{NO_BREAK}g", f"0,52{NO_BREAK}g")
    assert english.clock(NOW_MS + 123, millis=True) == "18:04:11.123"
    assert portuguese.clock(NOW_MS + 123, millis=True) == "15:04:11,123"
    assert portuguese.percent(0.64) == f"64{NO_BREAK}%"
    assert portuguese.place() == "São Paulo"


@pytest.mark.parametrize(
    ("milliseconds", "words"),
    [
        (398, "398 ms"),
        (2_440, "2.4 s"),
        (40_000, "40 s"),
        (240_000, "4 min"),
        (9_480_000, "2 h 38 min"),
        (97_200_000, "1 d 3 h"),
    ],
)
def test_a_length_is_said_in_its_two_largest_units(milliseconds: float, words: str) -> None:
    assert Words("en", UTC).length(milliseconds) == words.replace(" ", NO_BREAK)


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_sensor_is_called_what_the_mail_and_the_sentence_call_it(language: str) -> None:
    say = Words(language, UTC)
    known = spoken._NAMES[language]
    assert {name: label(name, say) for name in known} == {name: sensor_name(name, language).full for name in known}
    assert label("oil_ppm", say) == sensor_name("oil_ppm", language).full == "oil_ppm"


@pytest.mark.parametrize("share", [0.0, 0.001, 0.004, 0.006, 0.0149, 0.27, 0.999, 1.0])
@pytest.mark.parametrize("language", LANGUAGES)
def test_a_share_is_written_as_in_the_mail(language: str, share: float) -> None:
    assert Words(language, UTC).percent(share) == numbers.percent(share, language)


def test_a_trace_of_a_share_is_not_nothing() -> None:
    assert Words("en", UTC).percent(0.003) == f"<1{NO_BREAK}%"
    assert Words("en", UTC).percent(0.005) == f"<1{NO_BREAK}%"
    assert Words("en", UTC).percent(0) == f"0{NO_BREAK}%"


@pytest.mark.parametrize(("passed_ms", "told"), [(-50, "just now"), (867, "just now"), (4_900, "just now")])
def test_what_reports_each_second_was_seen_just_now(passed_ms: int, told: str) -> None:
    assert Words("en", UTC).ago(NOW_MS - passed_ms, NOW_MS) == told
    assert Words("pt", UTC).ago(NOW_MS - passed_ms, NOW_MS) == "agora"


def test_longer_ago_is_counted() -> None:
    assert Words("en", UTC).ago(NOW_MS - 12_300, NOW_MS) == f"12{NO_BREAK}s ago"
