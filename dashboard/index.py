"""The HTML document around the pages: its language and scheme, and the words that the browser says by itself."""

from __future__ import annotations

import json
from typing import Any

from dash import Dash

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


class Index(Dash):  # type: ignore[misc,unused-ignore]  # Dash publishes no type for it
    """Dash with our own document, in the language and scheme of whoever asks for it."""

    def __init__(self, desk: Desk, **settings: Any) -> None:
        self._desk = desk
        super().__init__(**settings)

    def interpolate_index(self, **parts: Any) -> str:
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


def _words(say: Words) -> str:
    facts = {"language": BABEL_LOCALE[say.language].replace("_", "-"), "zone": str(say.zone), "place": say.place()}
    return json.dumps({**facts, "words": browser_words(say)}).replace("<", "\\u003c")
