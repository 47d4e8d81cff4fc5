"""The mail in a browser: it fits a desk and a phone, its pictures appear, and it asks nobody for anything."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from playwright.async_api import Browser, async_playwright

from cloud.notifications.mailbox import Mailbox
from cloud.notifications.message import compose
from cloud.notifications.notice import Language
from tests.notifications.notices import notice
from tests.support.anomalies import RAISED_AT_MS

pytestmark = pytest.mark.browser


@pytest.fixture
async def browser() -> AsyncIterator[Browser]:
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox", "--disable-gpu", "--disable-quic"]
        )
        yield opened
        await opened.close()


@pytest.mark.parametrize("width", [640, 360])
@pytest.mark.parametrize("language", ["en", "pt"])
async def test_the_mail_fits_and_fetches_nothing(
    browser: Browser, tmp_path: Path, language: Language, width: int
) -> None:
    mailbox = Mailbox(tmp_path)
    raw = compose(notice(language=language, suppressed=3), "ronda@localhost", ["ana@plant.example"]).as_bytes()
    page = await browser.new_page(viewport={"width": width, "height": 900})
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    await page.set_content(mailbox.read(mailbox.keep(raw, RAISED_AT_MS)).html, wait_until="load")
    assert [address for address in asked if not address.startswith("data:")] == []
    assert await page.evaluate("document.documentElement.scrollWidth") <= width
    assert await page.evaluate("[...document.images].every(image => image.complete && image.naturalWidth > 0)")
    assert await page.evaluate("getComputedStyle(document.documentElement).colorScheme") == "light"
    link = page.get_by_role("link")
    assert await link.count() == 1
    box = await link.bounding_box()
    assert box is not None
    assert box["height"] >= 44
