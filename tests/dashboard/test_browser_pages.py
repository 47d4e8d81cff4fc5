"""Every page as a person sees it: both languages, light and dark, desk and phone."""

from __future__ import annotations

import re

import pytest

from ronda.client import ApiError
from tests.dashboard.conftest import Desk
from tests.dashboard.served import Scripted

pytestmark = pytest.mark.browser

PAGES = {
    "/ui/": ("Fleet", "Frota"),
    "/ui/anomalies": ("Anomalies", "Anomalias"),
    "/ui/anomalies?id=a1": ("Anomalies", "Anomalias"),
    "/ui/golden-path": ("🚀 End-to-End Flow Demo", "🚀 Demonstração ao Vivo do Golden Path"),
    "/ui/device/plant-1/pump-07": ("pump-07", "pump-07"),
    "/ui/device/plant-1/pump-07?anomaly=a1": ("pump-07", "pump-07"),
    "/ui/device/plant-1/mixer-09": ("mixer-09", "mixer-09"),
    "/ui/mail": ("Mail", "E-mails"),
    "/ui/mail/m1": ("▲ Critical: pump-07, vibration 2.4 times normal",) * 2,
}
READERS = [("en", "light", 1440), ("pt", "dark", 1440), ("pt", "light", 390), ("en", "dark", 390)]
# The scripted mail tries to run a script, and the browser says that it may not.
_EXPECTED = re.compile(r"Blocked script execution in 'about:srcdoc'")


@pytest.mark.parametrize(("language", "scheme", "width"), READERS)
def test_every_page_stands_without_an_error_and_without_another_host(
    desk: Desk, language: str, scheme: str, width: int
) -> None:
    reader = desk.sit(language=language, scheme=scheme, width=width)
    for path, titles in PAGES.items():
        page = reader.open(path)
        page.wait_for_selector(f"h1:text-is('{titles[language == 'pt']}')")
        page.wait_for_function("document.documentElement.dataset.connection === 'live'")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), f"{path} is wider than the screen"
        assert page.title() == f"{titles[language == 'pt']} · Ronda"
        assert page.evaluate("document.documentElement.dataset.s") == scheme
    assert [each for each in reader.errors if not _EXPECTED.search(each)] == []
    assert reader.strangers == []


@pytest.mark.parametrize(
    ("language", "title", "button"),
    [
        ("en", "🚀 End-to-End Flow Demo", "Simulate Anomaly Ingestion"),
        ("pt", "🚀 Demonstração ao Vivo do Golden Path", "Simular Ingestão de Anomalia"),
    ],
)
def test_the_golden_path_is_worded_exactly(desk: Desk, language: str, title: str, button: str) -> None:
    page = desk.sit(language=language).open("/ui/golden-path")
    assert page.inner_text("h1") == title
    assert page.inner_text("#simulate").strip() == button


def test_severity_is_a_glyph_and_a_word(desk: Desk) -> None:
    page = desk.sit().open("/ui/anomalies")
    words = [each.inner_text() for each in page.query_selector_all(".rows .severity")]
    glyphs = page.query_selector_all(".rows .severity .glyph")
    assert words == ["Critical", "Warning", "Warning"]
    assert len(glyphs) == 3


def test_the_language_can_be_changed_and_is_kept(desk: Desk) -> None:
    page = desk.sit(language="en").open("/ui/")
    page.click("[data-language=pt]")
    page.wait_for_selector("h1:text-is('Frota')")
    assert page.evaluate("document.documentElement.lang") == "pt-BR"
    page.reload()
    page.wait_for_selector("h1:text-is('Frota')")


def test_dark_colours_reach_the_chart(desk: Desk) -> None:
    page = desk.sit().open("/ui/device/plant-1/pump-07")
    ground = "document.querySelector('#chart .js-plotly-plot')?._fullLayout?.plot_bgcolor"
    page.wait_for_function(f"{ground} === '#FFFFFF'")
    page.click("[data-action=scheme]")
    page.wait_for_function(f"{ground} === '#14181C'")
    page.reload()
    page.wait_for_function(f"{ground} === '#14181C'")


def test_a_tile_narrows_the_fleet(desk: Desk) -> None:
    page = desk.sit().open("/ui/")
    assert "demo-1" not in page.inner_text("#fleet")
    page.click(".tile:has-text('Resting')")
    page.wait_for_selector(".small-card:has-text('demo-1')")
    assert "pump-07" not in page.inner_text("#fleet")


def test_the_keyboard_reaches_the_page_first(desk: Desk) -> None:
    page = desk.sit().open("/ui/")
    page.wait_for_selector(".skip", state="attached")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"


def test_an_empty_plant_says_why_and_what_to_do(desk: Desk, scripted: Scripted) -> None:
    scripted.plant.known, scripted.plant.listed, scripted.plant.posted = [], [], []
    reader = desk.sit()
    assert "ronda device add" in reader.open("/ui/").inner_text(".note")
    assert "demonstration machine" in reader.open("/ui/anomalies").inner_text(".note")
    assert "EMAIL_SMTP_HOST" in reader.open("/ui/mail").inner_text(".note")


def test_a_refusal_carries_its_id_and_another_try(desk: Desk, scripted: Scripted) -> None:
    reader = desk.sit()
    scripted.plant.refuses = ApiError(503, {"detail": "the store did not answer", "request_id": "e-51c07d"})
    page = reader.open("/ui/anomalies")
    told = page.inner_text("[role=alert]")
    assert "the store did not answer" in told
    assert "e-51c07d" in told
    scripted.plant.refuses = None
    page.click("[data-action=retry-pulse]")
    page.wait_for_selector(".rows")


def test_an_unknown_device_is_told_apart_from_a_failure(desk: Desk) -> None:
    page = desk.sit().open("/ui/device/plant-1/nobody")
    assert "Unknown device" in page.inner_text(".note")


def test_a_mail_can_run_nothing_and_reach_nothing(desk: Desk) -> None:
    reader = desk.sit()
    page = reader.open("/ui/mail/m1")
    frame = page.wait_for_selector(".mail-frame")
    assert frame is not None
    assert "allow-scripts" not in (frame.get_attribute("sandbox") or "allow-scripts")
    assert "allow-same-origin" not in (frame.get_attribute("sandbox") or "")
    inside = frame.content_frame()
    assert inside is not None
    inside.wait_for_selector("text=Vibration 2.4 times normal")
    assert page.evaluate("window.hacked") is None
    assert reader.strangers == []


def test_the_words_of_a_known_refusal_are_the_readers(desk: Desk, scripted: Scripted) -> None:
    scripted.plant.refuses = ApiError(503, {"detail": "the database is away", "reason": "unavailable"})
    page = desk.sit(language="pt").open("/ui/anomalies")
    assert "O banco de dados não responde." in page.inner_text("[role=alert]")


def test_a_healthy_machine_has_no_legend_for_what_is_not_drawn(desk: Desk) -> None:
    page = desk.sit().open("/ui/device/plant-1/fan-03")
    assert page.inner_text(".legend").split("\n") == ["measured"]
    page = desk.sit().open("/ui/device/plant-1/pump-07")
    assert "outside it" in page.inner_text(".legend")


def test_the_evidence_is_drawn_by_time_with_its_gaps(desk: Desk, scripted: Scripted) -> None:
    window = {"measured_at_ms": [0, 1000, 2000, 3000, 97_000, 98_000, 99_000, 100_000], "series": {}}
    window["series"] = {"vibration_de_rms_g": [0.2, 0.21, 0.2, 0.21, 0.2, 0.21, 0.2, 0.21]}
    scripted.plant.listed[0]["window"] = window
    page = desk.sit().open("/ui/anomalies?id=a1")
    line = page.wait_for_selector(".drawer .spark path")
    assert line is not None
    first, second = (line.get_attribute("d") or "").split("M")[1:]
    assert float(first.split("L")[-1].split()[0]) == 30
    assert float(second.split()[0]) == 970


@pytest.mark.parametrize("width", [1440, 390])
def test_long_ids_names_and_units_stay_in_their_place(desk: Desk, scripted: Scripted, width: int) -> None:
    long, unit = "a-device-with-a-long-name", "thousand_cubic_feet_per_h"
    scripted.plant.listed[0] |= {"correlation_id": "0a1b2c3d" * 4, "device": long}
    scripted.plant.listed[0]["sensors"][0] |= {"unit": unit}
    scripted.plant.known[0] |= {"device": long}
    scripted.plant.known[2] |= {"device": f"{long}-2"}
    scripted.plant.units = unit
    reader = desk.sit(width=width)
    for path in ("/ui/", f"/ui/device/plant-1/{long}", "/ui/anomalies?id=a1"):
        page = reader.open(path)
        page.wait_for_selector("#controls button")
        cut = page.evaluate(
            "() => [...document.querySelectorAll('.card, .small-card, .card-head, .drawer')]"
            ".filter(each => each.scrollWidth > each.clientWidth + 1).map(each => each.className)"
        )
        assert cut == [], path
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), path
