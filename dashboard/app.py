"""Puts the dashboard on the API's own server, so that one origin, one cookie and one gate serve both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from zoneinfo import ZoneInfo

from fastapi import FastAPI, Request, Response

try:
    from dash import Dash
except ImportError as error:
    raise ImportError("the dashboard needs Dash: pip install 'ronda[dashboard]'") from error

from dashboard import login, shell
from dashboard.asks import ClientFor
from dashboard.desk import Desk
from dashboard.index import Index
from dashboard.pages import anomalies, device, fleet, golden_path
from dashboard.routing import register_routing, route_for

HERE = Path(__file__).parent
PREFIX = "/ui/"
# Loaded by name where they are needed, never with every page.
_NOT_ON_EVERY_PAGE = ["vendor", "fonts", "glyphs", "icons", "login", "early"]


def create_dashboard(
    server: FastAPI,
    client_for: ClientFor,
    *,
    clock_ms: Callable[[], int],
    time_zone: str = "UTC",
    session_cookie: str = "ronda_session",
) -> Dash:
    """Add the pages under `/ui/` to `server`, before it starts, and return the Dash application.

    `client_for` gives the API on behalf of the reader whose session cookie holds that token. `time_zone` is the IANA
    name of the site's zone, such as `America/Sao_Paulo`. The pages check no permission: the API does, for each call,
    and a gate in front of `server` keeps strangers away from everything but the login page and the assets.
    """
    desk = Desk(client_for, ZoneInfo(time_zone), clock_ms, session_cookie)
    login.register(server, desk)
    app = _dash(server, desk)
    app.layout = shell.frame()
    register_routing(app, desk)
    for page in (fleet, anomalies, device, golden_path):
        page.register(app, desk)
    _serve_pages(server, app)
    return app


def _dash(server: FastAPI, desk: Desk) -> Index:
    return Index(
        desk,
        name="dashboard",
        server=server,
        routes_pathname_prefix=PREFIX,
        requests_pathname_prefix=PREFIX,
        assets_folder=str(HERE / "assets"),
        assets_path_ignore=_NOT_ON_EVERY_PAGE,
        title="Ronda",
        update_title=None,
        suppress_callback_exceptions=True,
        add_log_handler=False,
    )


def _serve_pages(server: FastAPI, app: Index) -> None:
    app.prepare()

    async def page(request: Request) -> Response:
        known = route_for(request.url.path) is not None
        return Response(app.document(request), 200 if known else 404, media_type="text/html")

    server.add_api_route("/ui/{path:path}", page, methods=["GET"], include_in_schema=False)
