"""The way in: a page of its own, outside Dash, so that a stranger is shown no layout, no callback and no data."""

from __future__ import annotations

from html import escape
from pathlib import Path
from string import Template

from fastapi import FastAPI, Request, Response

from dashboard.desk import SCHEME_COOKIE, SCHEMES, Desk
from dashboard.language import BABEL_LOCALE, Words

_PAGE = Template((Path(__file__).parent / "login.html").read_text("utf-8"))


def register(server: FastAPI, desk: Desk) -> None:
    """Serve the login page."""

    async def page(request: Request) -> Response:
        say = desk.words_from(request.cookies, request.headers)
        return Response(login_page(say, request.cookies.get(SCHEME_COOKIE, "")), media_type="text/html")

    server.add_api_route("/ui/login", page, methods=["GET"], include_in_schema=False)


def login_page(say: Words, scheme: str) -> str:
    """The page's HTML in the reader's language."""
    words = {
        "title": say("Log in"),
        "lead": say("The inspection round that never stops."),
        "username": say("User name"),
        "password": say("Password"),
        "submit": say("Log in"),
        "hint": say("The command “ronda up” prints the first user, admin, and its password."),
        "wrong": say("The user name or the password is wrong."),
        "away": say("Ronda does not answer. Is it running? Try again in a few seconds."),
    }
    safe = {name: escape(text) for name, text in words.items()}
    lang = BABEL_LOCALE[say.language].replace("_", "-")
    return _PAGE.substitute(safe, lang=lang, scheme=scheme if scheme in SCHEMES else "")
