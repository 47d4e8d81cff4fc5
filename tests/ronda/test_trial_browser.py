"""The page in a browser: both languages, light and dark, desk and phone; no other host, nobody kept out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from ronda.trial.run import run_trial
from tests.dashboard.conftest import CHROMIUM, FLAGS
from tests.dashboard.test_browser_access import violations
from tests.support.trials import pump_csv

pytestmark = pytest.mark.browser


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("trial")
    faulty, healthy = pump_csv(folder), pump_csv(folder, fault=False, name="healthy.csv")
    for name, file, language in (("en", faulty, "en"), ("pt", faulty, "pt"), ("healthy", healthy, "en")):
        tried(file, folder / f"{name}.html", language)
    return {name: folder / f"{name}.html" for name in ("en", "pt", "healthy")}


def tried(file: Path, out: Path, language: str) -> None:
    run_trial(
        file, learn=None, sensitivity=None, out=out, language=language, json=False, look=False, tell=lambda _: None
    )


class Reader:
    """Opens the page and notes what must not happen."""

    def __init__(self, browser: Browser, path: Path, **screen: Any) -> None:
        self._context = browser.new_context(reduced_motion="reduce", **screen)
        self.page: Page = self._context.new_page()
        self.errors: list[str] = []
        self.strangers: list[str] = []
        self.page.on("console", lambda message: self.errors.append(message.text))
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", lambda request: self.strangers.append(request.url))
        self.page.goto(path.as_uri())

    def close(self) -> None:
        self._context.close()


@pytest.mark.parametrize(
    ("name", "scheme", "width"),
    [*product(("en", "pt"), ("light", "dark"), (1280, 390)), ("healthy", "light", 390), ("healthy", "dark", 1280)],
)
def test_the_page_stands_for_every_reader(
    browser: Browser, pages: dict[str, Path], name: str, scheme: str, width: int
) -> None:
    reader = Reader(browser, pages[name], color_scheme=scheme, viewport={"width": width, "height": 900})
    page = reader.page
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    assert page.locator("article").count() == (0 if name == "healthy" else 1)
    ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert ground == ("rgb(13, 16, 19)" if scheme == "dark" else "rgb(245, 246, 247)")
    assert violations(page) == []
    assert reader.errors == []
    assert [url for url in reader.strangers if not url.startswith(("data:", pages[name].as_uri()))] == []
    reader.close()


def test_the_line_takes_the_hue_only_where_it_is_outside(browser: Browser, pages: dict[str, Path]) -> None:
    reader = Reader(browser, pages["en"], color_scheme="light")
    hue = "getComputedStyle(document.querySelector('#found-title ~ article use.outside')).stroke"
    assert reader.page.evaluate(hue) == "rgb(213, 94, 0)"
    reader.close()


def test_the_keyboard_reads_the_charts(browser: Browser, pages: dict[str, Path]) -> None:
    reader = Reader(browser, pages["en"])
    page = reader.page
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Tab")
    page.keyboard.press("End")
    slider = page.locator("[role=slider]").first
    assert slider.evaluate("each => each === document.activeElement")
    assert "Score" in (slider.get_attribute("aria-valuetext") or "")
    page.keyboard.press("ArrowLeft")
    assert slider.get_attribute("aria-valuenow") in {"99", "100"}
    page.keyboard.press("Escape")
    assert page.locator(".readout").count() == 0
    reader.close()


def test_the_pointer_tells_time_and_value_in_every_chart_of_the_card(browser: Browser, pages: dict[str, Path]) -> None:
    reader = Reader(browser, pages["en"])
    page = reader.page
    page.locator("article .field").first.hover()
    told = page.locator("article .readout").all_inner_texts()
    assert len(told) == 4
    assert " · " in told[0]
    assert reader.errors == []
    reader.close()


def test_on_paper_it_is_light(browser: Browser, pages: dict[str, Path]) -> None:
    reader = Reader(browser, pages["en"], color_scheme="dark")
    reader.page.emulate_media(media="print", color_scheme="dark")
    assert reader.page.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert reader.page.evaluate("getComputedStyle(document.querySelector('h1')).color") == "rgb(20, 24, 29)"
    reader.close()
