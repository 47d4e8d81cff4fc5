"""The same pages on a real `ronda up`: a person logs in, clicks, and watches a mail arrive."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.dashboard.conftest import Desk, Watched
from tests.support.installation import Ronda

pytestmark = pytest.mark.browser

# The banner gives up after 15 s; a mail that takes longer is told as stopped.
RECEIPT_WITHIN_MS = 20_000


@pytest.fixture(scope="module")
def ronda(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ronda]:
    """A running installation with its own mail server."""
    installation = Ronda(Path(tmp_path_factory.mktemp("watched")) / "data", "--devices", "2").start()
    try:
        installation.until_ready()
        yield installation
    finally:
        installation.stop()


@pytest.fixture
def reader(browser: Browser, ronda: Ronda) -> Iterator[Watched]:
    """Somebody who logged in by the login page, in Portuguese."""
    desk = Desk(browser, ronda.url)
    watched = desk.sit(language="pt", logged_in=False, now_ms=None)
    page = watched.page
    page.goto(ronda.url + "/ui/golden-path")
    page.fill("#username", "admin")
    page.fill("#password", ronda.secrets()["admin_password"])
    page.click("button[type=submit]")
    page.wait_for_selector("#fault-choice")
    page.wait_for_function("document.documentElement.dataset.connection === 'live'")
    yield watched
    desk.leave()


def test_a_click_becomes_a_mail_that_can_be_opened(reader: Watched) -> None:
    page = reader.page
    page.click("#simulate")
    page.wait_for_selector("#banner[data-outcome=delivered]", timeout=RECEIPT_WITHIN_MS)
    assert "Notificação entregue" in page.inner_text("#banner")
    narrated = page.inner_text(".narration")
    stations = ["Dispositivo", "Broker MQTT", "Aquisição", "Validação", "Historiador", "Detecção", "Notificação"]
    assert [name for name in stations if name not in narrated] == []
    page.click(".sent a:has-text('Abrir') >> nth=0")
    mail = page.wait_for_selector(".mail-frame").content_frame()
    assert mail is not None
    mail.wait_for_selector("img")
    page.click("#places a:has-text('Anomalias')")
    page.click(".rows .line >> nth=0")
    page.click(".drawer .btn.p")
    page.wait_for_selector("#chart .main-svg")
    assert reader.errors == []
    assert reader.strangers == []


def test_a_healthy_minute_disturbs_nobody(reader: Watched) -> None:
    page = reader.page
    page.select_option("#fault-choice", "none")
    page.click("#simulate")
    page.wait_for_selector("#banner[data-outcome=quiet]", timeout=RECEIPT_WITHIN_MS)
    assert page.query_selector(".b-ok") is None


def test_an_emulated_pump_is_drawn_as_it_measures(reader: Watched) -> None:
    page = reader.page
    page.goto(reader.address + "/ui/")
    page.click(".small-card:has-text('pump-01')")
    page.wait_for_selector("#chart .main-svg")
    count = "document.querySelector('#chart .js-plotly-plot').data.find(t => t.meta.role === 'seen').y.length"
    before = page.evaluate(count)
    page.wait_for_function(f"{count} >= {before} + 2", timeout=10_000)
    assert reader.errors == []


def test_the_stream_survives_a_restart_of_the_web_process(reader: Watched, ronda: Ronda) -> None:
    page = reader.page
    ronda.kill("api")
    page.wait_for_selector("#connection:has-text('Reconectando')", timeout=10_000)
    page.wait_for_function("document.documentElement.dataset.connection === 'live'", timeout=60_000)
    page.click("#places a:has-text('Frota')")
    page.wait_for_selector(".tiles")
