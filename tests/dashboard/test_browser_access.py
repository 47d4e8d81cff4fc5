"""Pages that everybody can use: axe-core finds nothing on any of them (WCAG 2.2 A and AA, and its best practices)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.dashboard.conftest import Desk
from tests.dashboard.plant import WHOLE_WAY, anomaly, notification, step
from tests.dashboard.served import Scripted

pytestmark = pytest.mark.browser

AXE = (Path(__file__).parent / "vendor" / "axe.min.js").read_text("utf-8")
RULES = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
PAGES = [
    "/ui/",
    "/ui/anomalies",
    "/ui/anomalies?id=a1",
    "/ui/device/plant-1/pump-07",
    "/ui/golden-path",
    "/ui/golden-path?id=9f2c-88342",
    "/ui/mail",
    "/ui/mail/m1",
    "/ui/nowhere",
]


def violations(page: Any) -> list[str]:
    """What axe finds, as `rule: element`. A mail's frame is somebody else's document."""
    page.evaluate(AXE)
    # The tab bar of a phone covers whatever scrolls beneath it: looked at in whole, nothing does.
    size = page.viewport_size
    whole = page.evaluate("document.documentElement.scrollHeight")
    page.set_viewport_size({"width": size["width"], "height": max(size["height"], whole)})
    found = page.evaluate("rules => axe.run(document, {runOnly: rules, iframes: false})", RULES)
    return [f"{each['id']}: {node['html'][:120]}" for each in found["violations"] for node in each["nodes"]]


@pytest.mark.parametrize(
    ("language", "scheme", "width"),
    [("en", "light", 1440), ("pt", "dark", 1440), ("pt", "light", 390), ("en", "dark", 390)],
)
def test_nothing_stands_in_anybodys_way(desk: Desk, scripted: Scripted, language: str, scheme: str, width: int) -> None:
    scripted.plant.tell_story(WHOLE_WAY, anomalies=[anomaly()], notifications=[notification()])
    reader = desk.sit(language=language, scheme=scheme, width=width)
    found = {}
    for path in PAGES:
        page = reader.open(path)
        page.wait_for_function("document.documentElement.dataset.connection === 'live'")
        page.wait_for_selector("#controls button")
        found[path] = violations(page)
    reader.page.goto(reader.address + "/ui/login")
    found["/ui/login"] = violations(reader.page)
    assert {path: each for path, each in found.items() if each} == {}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_bad_news_can_be_read_too(desk: Desk, scripted: Scripted, scheme: str) -> None:
    word = "550 5.1.1 unknown recipient"
    failed = [*WHOLE_WAY[:-1], step("mail", "failed", 90, 1, receipt=word)]
    scripted.plant.tell_story(failed, anomalies=[anomaly()], notifications=[notification("failed", receipt=word)])
    page = desk.sit(scheme=scheme).open("/ui/golden-path?id=9f2c-88342")
    page.wait_for_selector("#banner[data-outcome=failed]")
    assert violations(page) == []
