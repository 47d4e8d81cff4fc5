"""What must hold for every page and callback, now and for those that are still to come."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

import dashboard
from dashboard.routing import ROUTES
from tests.dashboard.served import COOKIE, Scripted

FOLDER = Path(dashboard.__file__).parent
OURS = [
    path
    for path in sorted(FOLDER.rglob("*"))
    if path.suffix in {".py", ".js", ".css", ".html"} and "vendor" not in path.parts
]


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    """A reader without a browser."""
    with httpx.Client(base_url=address, cookies={COOKIE: "token"}) as client:
        yield client


def test_every_callback_is_asynchronous(scripted: Scripted) -> None:
    called = {output: spec["callback"] for output, spec in scripted.dash.callback_map.items() if "callback" in spec}
    waiting = [output for output, function in called.items() if not inspect.iscoroutinefunction(function)]
    assert len(called) > 8
    assert waiting == []


def test_every_page_is_asynchronous() -> None:
    assert all(inspect.iscoroutinefunction(show) for _, show in ROUTES)


def test_the_layout_asks_nobody(scripted: Scripted) -> None:
    assert not callable(scripted.dash.layout)


def test_no_file_of_ours_names_another_host() -> None:
    # The name of a vocabulary is an address that nobody opens.
    found = {address for path in OURS for address in re.findall(r"https?://[\w.-]+", path.read_text("utf-8"))}
    assert found <= {"http://www.w3.org"}


def test_colours_stand_in_one_style_sheet() -> None:
    hue = re.compile(r"#[0-9a-fA-F]{6}\b|#[0-9a-fA-F]{3}\b(?=[;\s\"'])|\brgb\(")
    guilty = {path.name for path in OURS if path.name != "10-tokens.css" and hue.search(path.read_text("utf-8"))}
    # A mail brings its own white ground.
    assert guilty <= {"40-pages.css"}


def test_the_dashboard_takes_only_its_own_paths(client: httpx.Client) -> None:
    assert client.get("/api/nope").status_code == 404
    assert client.get("/elsewhere").status_code == 404


@pytest.mark.parametrize("page", ["", "anomalies", "golden-path", "device/a/b", "mail", "mail/m"])
def test_a_page_is_there_when_it_is_the_first_that_anybody_opens(client: httpx.Client, page: str) -> None:
    answer = client.get(f"/ui/{page}")
    assert answer.status_code == 200
    assert "10-tokens.css" in answer.text


def test_an_unknown_page_is_not_found(client: httpx.Client) -> None:
    assert client.get("/ui/nowhere").status_code == 404


def test_the_document_speaks_the_readers_language(client: httpx.Client) -> None:
    client.cookies.set("ronda_language", "pt")
    assert '<html lang="pt-BR"' in client.get("/ui/").text
    assert '"live": "Ao vivo"' in client.get("/ui/").text


def test_two_dashboards_in_one_process_serve_their_own_plant() -> None:
    first, second = Scripted(), Scripted()
    second.plant.known = []
    with first.running() as here, second.running() as there:
        assert "fan-03" in fleet(here)
        assert "fan-03" not in fleet(there)


def fleet(address: str) -> str:
    """What the routing callback answers for `/ui/`."""
    page, heading = {"id": "page", "property": "children"}, {"id": "heading", "property": "data"}
    path, search = {"id": "url", "property": "pathname"}, {"id": "url", "property": "search"}
    again = {"id": "page-pulse", "property": "data", "value": 0}
    body = {
        "output": "..page.children...heading.data..",
        "outputs": [page, heading],
        "inputs": [path | {"value": "/ui/"}, search | {"value": ""}, again],
        "changedPropIds": ["url.pathname"],
    }
    answer = httpx.post(f"{address}/ui/_dash-update-component", json=body, cookies={COOKIE: "token"})
    assert answer.status_code == 200
    return answer.text
