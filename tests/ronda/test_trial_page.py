"""The page: one file, nothing from outside, nothing that a column name could do to it, and every word in Portuguese."""

from __future__ import annotations

import ast
import re
from html.parser import HTMLParser
from pathlib import Path

import msgspec
import numpy as np
import pytest

import ronda.trial
from ronda.trial.comparison import compared
from ronda.trial.page.document import MOST_CARDS, page
from ronda.trial.page.line import path
from ronda.trial.page.markup import Markup, tag
from ronda.trial.page.scale import HEIGHT, Range, Span, time_ticks, value_ticks
from ronda.trial.portuguese import PORTUGUESE
from ronda.trial.recording import Recording
from ronda.trial.search import Trial, tried
from ronda.trial.words import Words
from tests.support.trials import NOW_MS

FOLDER = Path(ronda.trial.__file__).parent
EVIL = ["<script>alert(1)</script>", '"><img src=x onerror=alert(1)>', "{0.__class__}", "a&amp;b_c"]


def evil(rows: int = 900) -> Recording:
    rng = np.random.default_rng(1)
    values = rng.standard_normal((rows, 4)) + 10
    values[600:, 0] += 6
    label = np.zeros(rows, dtype=np.int64)
    label[600:] = 1
    return Recording(
        name="</title><b>x",
        times=NOW_MS + 1000 * np.arange(rows, dtype=np.int64),
        values=values,
        metrics=EVIL,
        units={EVIL[0]: "<u>"},
        labels={"<i>label": label},
    )


def shown(trial: Trial, language: str = "en") -> str:
    recording = trial.recording
    say = Words(language, recording.zone, elapsed=recording.elapsed)
    return page(trial, compared(trial), say, made_by="Ronda <test>")


class Elements(HTMLParser):
    """Remembers every element with its attributes, and that each is closed by its own end."""

    EMPTY = frozenset({"meta", "link", "br", "wbr"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.seen: list[tuple[str, dict[str, str | None]]] = []
        self._open: list[str] = []
        self.feed(text)
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))
        if tag not in self.EMPTY:
            self._open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag


@pytest.fixture(scope="module")
def trial() -> Trial:
    return tried(evil())


@pytest.mark.parametrize("language", ["en", "pt"])
def test_no_name_in_the_data_becomes_markup(trial: Trial, language: str) -> None:
    elements = Elements(shown(trial, language)).seen
    assert trial.found
    assert not {"img", "b", "i", "u", "test"} & {name for name, _ in elements}
    assert [name for name, _ in elements].count("script") == 1
    assert all(not key.startswith("on") for _, attributes in elements for key in attributes)


def test_the_page_asks_no_host_and_styles_nothing_inline(trial: Trial) -> None:
    elements = Elements(shown(trial)).seen
    addresses = [value or "" for _, each in elements for key, value in each.items() if key in {"src", "href"}]
    assert all(address.startswith(("#", "data:")) for address in addresses)
    assert all("style" not in each for _, each in elements)
    assert "default-src 'none'" in next(
        each["content"] or "" for name, each in elements if name == "meta" and "http-equiv" in each
    )


def test_every_id_is_there_once_and_every_reference_leads_somewhere(trial: Trial) -> None:
    elements = Elements(shown(trial)).seen
    ids = [each["id"] for _, each in elements if "id" in each]
    assert len(ids) == len(set(ids))
    wanted = {(each["href"] or "")[1:] for _, each in elements if (each.get("href") or "").startswith("#")}
    wanted |= {each["aria-labelledby"] for _, each in elements if "aria-labelledby" in each}
    wanted |= {(each["clip-path"] or "")[5:-1] for _, each in elements if "clip-path" in each}
    assert wanted <= set(ids)


def test_a_healthy_recording_gets_a_page_that_says_so() -> None:
    rng = np.random.default_rng(2)
    quiet = msgspec.structs.replace(evil(), values=rng.standard_normal((900, 4)) + 10, labels={})
    text = shown(tried(quiet))
    assert "Nothing unusual in" in text
    assert "What was found" not in text
    assert "data&#x27;s own label" not in text


def test_a_page_with_very_many_anomalies_stays_small() -> None:
    rng = np.random.default_rng(3)
    values = rng.standard_normal((20_000, 8)) + 10
    for start in range(2400, 20_000, 500):
        values[start : start + 150, start % 8] += 8
    times = NOW_MS + 1000 * np.arange(20_000, dtype=np.int64)
    trial = tried(Recording(name="many", times=times, values=values, metrics=[f"sensor_{n}" for n in range(8)]))
    text = shown(trial)
    assert len(trial.found) > 25
    assert text.count("<article") == MOST_CARDS
    assert len(text.encode()) < 1_000_000


def test_every_sentence_has_its_portuguese_and_every_translation_its_sentence() -> None:
    said = {text for file in FOLDER.rglob("*.py") for text in _sentences(ast.parse(file.read_text("utf-8")))}
    assert sorted(said - set(PORTUGUESE)) == []
    other = {
        "Critical", "Warning", "critical", "warning", "sensor", "young", "ready",
        "was silent", "was silent most of the time", "never changed",
    }  # fmt: skip
    assert sorted(set(PORTUGUESE) - said - other) == []


def _sentences(tree: ast.AST) -> list[str]:
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    spoken = [call for call in calls if re.fullmatch(r"say|Said|self|say\.count", ast.unparse(call.func))]
    return [
        arg.value
        for call in spoken
        for arg in call.args[:2]
        if isinstance(arg, ast.Constant) and isinstance(arg.value, str)
    ]


@pytest.mark.parametrize("text", PORTUGUESE)
def test_a_translation_has_the_places_of_its_sentence(text: str) -> None:
    places = re.compile(r"\{\w+\}")
    assert set(places.findall(text)) == set(places.findall(PORTUGUESE[text]))


def test_the_colours_are_those_of_the_dashboard() -> None:
    token = re.compile(r"--([\w-]+): ([^;]+);")
    ours = token.findall((FOLDER / "page" / "page.css").read_text("utf-8"))
    sheet = (FOLDER.parent.parent / "dashboard" / "assets" / "10-tokens.css").read_text("utf-8")
    theirs = set(token.findall(sheet))
    assert len(ours) > 40
    assert [each for each in ours if each[0] not in {"hue", "word", "tint"} and each not in theirs] == []


def test_a_spike_among_a_million_readings_is_drawn() -> None:
    values = np.zeros(1_000_000)
    values[333_333] = 1.0
    times = np.arange(1_000_000, dtype=np.int64)
    drawn = path(times, values, Span(0, 999_999), Range(0, 1), gap_ms=20)
    assert len(drawn) < 12_000
    assert re.search(r"[ML]667 0", drawn)
    assert f" {HEIGHT}" in drawn


def test_a_line_breaks_at_a_hole_and_at_a_missing_value() -> None:
    times = np.array([0, 1, 2, 50, 51, 52, 53], dtype=np.int64)
    values = np.array([0.0, 0, 0, 0, np.nan, 0, 0])
    assert path(times, values, Span(0, 53), Range(0, 1), gap_ms=20).count("M") == 3


def test_ticks_are_round_by_the_clock_of_the_recording() -> None:
    ticks, step = time_ticks(Span(NOW_MS, NOW_MS + 600_000), Words("en")._zone)
    assert step == 120_000
    assert all(tick % step == 0 for tick in ticks)
    assert value_ticks(Range(0, 10)) == ([2.5, 5.0, 7.5], 1)


@pytest.mark.parametrize(
    ("value", "english", "portuguese"),
    [(1234.5678, "1235", "1235"), (12345.6, "12,346", "12.346"), (0.123456, "0.1235", "0,1235"), (-2.0, "−2", "−2")],
)
def test_numbers_are_written_as_the_reader_writes_them(value: float, english: str, portuguese: str) -> None:
    assert (Words("en").number(value), Words("pt").number(value)) == (english, portuguese)


@pytest.mark.parametrize(
    ("milliseconds", "told"),
    [(0, "0 s"), (450, "450 ms"), (1000, "1 s"), (61_000, "1 min 1 s"), (7_200_000, "2 h"), (93_784_000, "1 d 2 h")],
)
def test_a_duration_names_its_two_largest_units(milliseconds: int, told: str) -> None:
    assert Words("en").duration(milliseconds).replace("\u00a0", " ") == told


def test_elapsed_times_have_no_date() -> None:
    assert Words("en", elapsed=True).moment(3_723_000, day=True) == "01:02:03"
    assert Words("en", elapsed=True).moment(90_000_000) == "1 d 01:00:00"


def test_a_text_is_escaped_where_it_is_put_in_and_markup_is_not() -> None:
    assert tag("p", "<b>", Markup("<i></i>"), title='"') == '<p title="&quot;">&lt;b&gt;<i></i></p>'
