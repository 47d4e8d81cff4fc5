"""A browser and a served dashboard for the tests of this folder."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.dashboard.plant import NOW_MS
from tests.dashboard.served import COOKIE, Scripted

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


# Not for the whole session: while it is open Playwright keeps an event loop running, and asynchronous tests elsewhere
# want one of their own.
@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """One Chromium for the tests of a file."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def scripted() -> Scripted:
    """A server of its own for each test."""
    return Scripted()


@pytest.fixture
def address(scripted: Scripted) -> Iterator[str]:
    """Where it is served."""
    with scripted.running() as address:
        yield address


class Watched:
    """A page that notes what must not happen: console errors, and requests to other hosts."""

    def __init__(self, context: BrowserContext, address: str, now_ms: int | None) -> None:
        self.address = address
        self.page: Page = context.new_page()
        if now_ms is not None:
            # The browser's own clock is the plant's, and stands still; its timers run.
            self.page.clock.set_fixed_time(now_ms / 1000)
        self.errors: list[str] = []
        self.strangers: list[str] = []
        self.page.on("console", self._console)
        self.page.on("pageerror", lambda error: self.errors.append(str(error)))
        self.page.on("request", self._request)

    def open(self, path: str) -> Page:
        """Go there and wait until the page stands."""
        self.page.goto(self.address + path)
        self.page.wait_for_selector("#page > :not([hidden])", timeout=15_000)
        return self.page

    def _console(self, message: Any) -> None:
        if message.type == "error":
            self.errors.append(message.text)

    def _request(self, request: Any) -> None:
        if not request.url.startswith((self.address, "data:", "blob:", "about:", self.address.replace("http", "ws"))):
            self.strangers.append(request.url)


class Desk:
    """Opens pages as a reader with a language, a scheme and a screen."""

    def __init__(self, browser: Browser, address: str) -> None:
        self._browser = browser
        self._address = address
        self._contexts: list[BrowserContext] = []

    def sit(
        self,
        *,
        language: str = "en",
        scheme: str = "light",
        width: int = 1440,
        height: int = 900,
        logged_in: bool = True,
        now_ms: int | None = NOW_MS,
    ) -> Watched:
        """A new browser context with this reader's cookies."""
        context = self._browser.new_context(
            viewport={"width": width, "height": height}, locale="en-US", reduced_motion="reduce"
        )
        cookies = {"ronda_language": language, "ronda_scheme": scheme, **({COOKIE: "token"} if logged_in else {})}
        context.add_cookies([{"name": name, "value": value, "url": self._address} for name, value in cookies.items()])
        self._contexts.append(context)
        return Watched(context, self._address, now_ms)

    def leave(self) -> None:
        """Close everything."""
        for context in self._contexts:
            context.close()


@pytest.fixture
def desk(browser: Browser, address: str) -> Iterator[Desk]:
    """Where readers sit down."""
    desk = Desk(browser, address)
    yield desk
    desk.leave()
