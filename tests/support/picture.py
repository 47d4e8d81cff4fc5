"""Makes the README's picture: a real installation, a real click, a real mail. `python -m tests.support.picture`."""

from __future__ import annotations

import asyncio
import tempfile
from pathlib import Path

from playwright.async_api import Page, async_playwright

from tests.support.installation import ROOT, Ronda

PICTURE = ROOT / "docs" / "images" / "golden-path.png"
FLAGS = [
    "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
    "--disable-background-networking", "--disable-component-update", "--disable-sync",
]  # fmt: skip


def main() -> None:
    """Start, click, photograph, stop. The title's rocket needs a colour emoji font, such as Debian's Noto."""
    with tempfile.TemporaryDirectory() as folder:
        ronda = Ronda(Path(folder) / "data").start()
        try:
            ronda.until_ready()
            asyncio.run(_photograph(ronda))
        finally:
            ronda.stop()
    print(PICTURE)


async def _photograph(ronda: Ronda) -> None:
    PICTURE.parent.mkdir(exist_ok=True)
    async with async_playwright() as driver:
        browser = await driver.chromium.launch(executable_path="/usr/bin/chromium", args=FLAGS)
        page = await browser.new_page(viewport={"width": 1440, "height": 960})
        await log_in(page, ronda)
        await page.goto(f"{ronda.url}/ui/golden-path")
        await page.get_by_role("button", name="Simulate Anomaly Ingestion").click()
        await page.get_by_text("Notification delivered").wait_for()
        # The stations settle one after the other, and the mail opens last.
        await page.wait_for_timeout(3000)
        await page.screenshot(path=PICTURE)
        await browser.close()


async def log_in(page: Page, ronda: Ronda) -> None:
    """As the first user, with the password that the installation made."""
    await page.goto(f"{ronda.url}/ui/")
    await page.fill("#username", "admin")
    await page.fill("input[type=password]", ronda.secrets()["admin_password"])
    await page.keyboard.press("Enter")
    await page.wait_for_url(f"{ronda.url}/ui/")


if __name__ == "__main__":
    main()
