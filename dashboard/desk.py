"""Who is reading, in which language, and what may they see? Answered from the request behind a callback."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple
from zoneinfo import ZoneInfo

from dash import ctx

from dashboard.asks import Asks, ClientFor
from dashboard.language import Words, choose_language

LANGUAGE_COOKIE = "ronda_language"
SCHEME_COOKIE = "ronda_scheme"
SCHEMES = ("light", "dark")


class Reader(NamedTuple):
    """The person in front of the page: the API on their behalf, their words, and the time of asking (epoch ms)."""

    api: Asks
    say: Words
    now_ms: int


class Desk(NamedTuple):
    """What every page needs from the composition root."""

    client_for: ClientFor
    zone: ZoneInfo
    clock_ms: Callable[[], int]
    session_cookie: str

    def reader(self) -> Reader:
        """The reader of the callback that is running."""
        return self.reader_from(ctx.cookies, ctx.headers)

    def reader_from(self, cookies: Mapping[str, str], headers: Mapping[str, str]) -> Reader:
        """The reader whose browser sent these."""
        api = self.client_for(cookies.get(self.session_cookie))
        return Reader(api, self.words_from(cookies, headers), self.clock_ms())

    def words_from(self, cookies: Mapping[str, str], headers: Mapping[str, str]) -> Words:
        """The language that these ask for, with the site's time."""
        language = choose_language(cookies.get(LANGUAGE_COOKIE), headers.get("accept-language", ""))
        return Words(language, self.zone)
