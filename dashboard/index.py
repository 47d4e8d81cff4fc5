"""The HTML document around the pages: its language and scheme, and the words that the browser says by itself."""

from __future__ import annotations

import json
from typing import Any

from dash import ClientsideFunction, Dash
from dash.backends._fastapi import reset_current_request, set_current_request
from dash.dependencies import DashDependency
from fastapi import Request

from dashboard.browser_words import browser_words
from dashboard.desk import SCHEME_COOKIE, SCHEMES, Desk
from dashboard.language import BABEL_LOCALE, Words

_DOCUMENT = """<!DOCTYPE html>
<html lang="{lang}" data-s="{scheme}">
<head>
{metas}
<meta name="color-scheme" content="light dark">
<title>Ronda</title>
<link rel="icon" type="image/svg+xml" href="{assets}ronda.svg">
<link rel="preload" href="{assets}fonts/inter-latin-wght-normal.woff2" as="font" type="font/woff2" crossorigin>
{css}
<script id="ronda-words" type="application/json">{words}</script>
<script src="{assets}early/scheme.js"></script>
{plotly}
</head>
<body>
{app_entry}
<footer>{config}{scripts}{renderer}</footer>
</body>
</html>"""

# The cartesian part of the plotly.js that this plotly brings along: a third of the whole, and all that is drawn here.
_PLOTLY = '<script src="{assets}vendor/plotly-cartesian.min.js"{when}></script>'


class Index(Dash):
    """Dash with our own document. What has to reach into Dash's inside does so here and nowhere else."""

    def __init__(self, desk: Desk, **settings: Any) -> None:
        self._desk = desk
        super().__init__(**settings)
        # At start-up Dash would take every path that nobody else wants, /api/ included; `app.py` takes /ui/ only.
        self.backend._setup_catchall = lambda: None  # type: ignore[attr-defined]  # noqa: SLF001  # there is no switch

    def interpolate_index(self, **parts: Any) -> str:  # type: ignore[override]  # Dash names each part, we hand them on
        """The document for the request at hand; Dash calls this for every page."""
        request = self.backend.request_adapter()
        say = self._desk.words_from(request.cookies, request.headers)
        scheme = request.cookies.get(SCHEME_COOKIE)
        assets = self.get_asset_url("")
        # Ahead of Dash's own scripts where the page is a chart, behind them where it may become one.
        when = "" if "/device/" in request.path else " defer"
        return _DOCUMENT.format(
            lang=BABEL_LOCALE[say.language].replace("_", "-"),
            scheme=scheme if scheme in SCHEMES else "",
            assets=assets,
            words=_words(say),
            plotly=_PLOTLY.format(assets=assets, when=when),
            **{name: parts[name] for name in ("metas", "css", "app_entry", "config", "scripts", "renderer")},
        )

    def in_browser(self, function: str, *dependencies: DashDependency) -> None:
        """Let `ronda.function` of our own scripts answer to these properties."""
        call = ClientsideFunction("ronda", function)
        self.clientside_callback(call, *dependencies)  # type: ignore[no-untyped-call]  # untyped there

    def prepare(self) -> None:
        """Collect style sheets and scripts. Dash does so on its first request, but overlooks those for sub-pages."""
        self._setup_server()  # type: ignore[no-untyped-call]  # untyped there

    def document(self, request: Request) -> str:
        """The document for a sub-page, whose request Dash does not look at by itself."""
        token = set_current_request(request)  # type: ignore[no-untyped-call]  # untyped there
        try:
            return str(self.index())  # type: ignore[no-untyped-call]  # untyped there
        finally:
            reset_current_request(token)  # type: ignore[no-untyped-call]  # untyped there


def _words(say: Words) -> str:
    facts = {"language": BABEL_LOCALE[say.language].replace("_", "-"), "zone": str(say.zone), "place": say.place()}
    return json.dumps({**facts, "words": browser_words(say)}).replace("<", "\\u003c")
