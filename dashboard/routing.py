"""Which page does an address show, and what stands around it?"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import NamedTuple
from urllib.parse import parse_qsl, unquote

from dash import Input, Output, dcc, html

from dashboard import shell
from dashboard.desk import Desk, Reader
from dashboard.elements import Child, empty
from dashboard.facts import Anomaly, Balance, facts
from dashboard.guard import guarded, quietly
from dashboard.index import Index
from dashboard.pages import anomalies, device, fleet, golden_path, mail

_NAME = r"[^/]+"


class Page(NamedTuple):
    """What a page hands back: the document's title, and its content."""

    title: str
    children: Child


Show = Callable[..., Awaitable[tuple[str, Child]]]

ROUTES: tuple[tuple[re.Pattern[str], Show], ...] = (
    (re.compile(r"/ui/?"), fleet.show),
    (re.compile(r"/ui/anomalies"), anomalies.show),
    (re.compile(r"/ui/golden-path"), golden_path.show),
    (re.compile(rf"/ui/device/(?P<site>{_NAME})/(?P<device>{_NAME})"), device.show),
    (re.compile(r"/ui/mail"), mail.show_all),
    (re.compile(rf"/ui/mail/(?P<mail_id>{_NAME})"), mail.show_one),
)


def route_for(path: str) -> tuple[Show, dict[str, str]] | None:
    """The page at `path` and the names in it, or None."""
    for pattern, show in ROUTES:
        if match := pattern.fullmatch(path):
            return show, {name: unquote(value) for name, value in match.groupdict().items()}
    return None


def register_routing(app: Index, desk: Desk) -> None:
    """The callbacks of the frame: the page, and what stands around it."""

    @app.callback(
        Output("page", "children"),
        Output("heading", "data"),
        Input("url", "pathname"),
        Input("url", "search"),
        Input("page-pulse", "data"),
    )
    async def show_page(path: str, search: str | None, _: int) -> tuple[Child, str]:
        reader = desk.reader()
        page = await _page(reader, path, dict(parse_qsl((search or "").lstrip("?"))))
        return page.children, f"{page.title} · Ronda"

    @app.callback(
        Output("skip", "children"),
        Output("places", "children"),
        Output("tabs", "children"),
        Output("controls", "children"),
        Input("frame", "data"),
    )
    async def show_frame(_: int) -> tuple[Child, ...]:
        reader = desk.reader()
        who = await guarded(reader, reader.say("Who you are"), _username)
        name = who if isinstance(who, str) else "?"
        say = reader.say
        return shell.skip(say), shell.navigation(say), shell.tabs(say), shell.controls(say, name)

    @app.callback(Output("open-alarms", "children"), Input("anomaly-pulse", "data"))
    async def show_open_alarms(_: int) -> Child:
        return await quietly(desk.reader(), _open_alarms)

    @app.callback(Output("count-anomalies", "children"), Input("anomaly-pulse", "data"))
    async def count_anomalies(_: int) -> Child:
        return await quietly(desk.reader(), _count)

    @app.callback(Output("foot", "children"), Input("ledger-tick", "n_intervals"))
    async def show_ledger(_: int | None) -> Child:
        return await quietly(desk.reader(), _ledger)

    app.in_browser(
        "arrived",
        Input("url", "pathname"),
        Input("heading", "data"),
        Input("places", "children"),
    )


async def _page(reader: Reader, path: str, query: dict[str, str]) -> Page:
    found = route_for(path)
    if found is None:
        return _not_found(reader, path)
    show, names = found
    title = "Ronda"

    async def ask(reader: Reader) -> Child:
        nonlocal title
        title, children = await show(reader, query=query, **names)
        return children

    children = await guarded(reader, reader.say("This page could not be loaded"), ask)
    return Page(title, children)


def _not_found(reader: Reader, path: str) -> Page:
    say = reader.say
    title = say("Page not found")
    why = say("There is nothing at {path}. The address may be mistyped, or from another version.", path=path)
    back = dcc.Link(say("Go to the fleet"), href="/ui/", className="btn s")
    return Page(title, [html.H1(title, className="page-title"), empty(title, why, back)])


async def _username(reader: Reader) -> str:
    return str((await reader.api.whoami())["subject"])


async def _open_alarms(reader: Reader) -> Child:
    active = facts(Anomaly, await reader.api.anomalies(phase="active", limit=200))
    return shell.open_alarms(active, reader.say)


async def _count(reader: Reader) -> Child:
    answer = await reader.api.anomalies(phase="active", limit=200)
    return reader.say.number(len(answer["items"]))


async def _ledger(reader: Reader) -> Child:
    return shell.ledger(facts(Balance, await reader.api.ledger()), reader.say)
