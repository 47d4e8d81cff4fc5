"""The frame around every page: where one can go, whether the data are live, what is open, who is reading."""

from __future__ import annotations

from importlib.metadata import version
from typing import NamedTuple

from dash import dcc, html

from dashboard.elements import Attributes, Child, aria, data, glyph, hidden, icon, store
from dashboard.facts import Anomaly, Balance
from dashboard.language import LANGUAGES, Words


class Place(NamedTuple):
    """An entry of the navigation."""

    path: str
    icon: str
    name: str
    counts: str = ""


def places(say: Words) -> list[Place]:
    """Where one can go, in order."""
    return [
        Place("/ui/", "fleet", say("Fleet")),
        Place("/ui/anomalies", "inbox", say("Anomalies"), "anomalies"),
        Place("/ui/golden-path", "path", say("Golden path")),
        Place("/ui/mail", "mail", say("Mail")),
    ]


def frame() -> html.Div:
    """The page's fixed parts; everything in words is filled in by callbacks, in the reader's language."""
    return html.Div(
        [
            dcc.Location(id="url", refresh="callback-nav"),
            dcc.Store(id="frame", data=0),
            dcc.Store(id="heading"),
            store("scheme", ""),
            store("anomaly-pulse", 0),
            store("page-pulse", 0),
            dcc.Interval(id="ledger-tick", interval=10_000),
            html.Div(id="skip"),
            html.Nav(
                [_logo(), html.Ul(id="places"), html.Div(id="foot", className="foot")],
                className="nav",
                **aria(label="Ronda"),
            ),
            html.Header(
                [
                    html.Span(_logo(), className="phone-only"),
                    html.Span(className="grow"),
                    html.Span(id="connection", className="badge none", role="status"),
                    html.Span(id="open-alarms", className="open-alarms"),
                    html.Span(className="rule desk-only", **aria(hidden="true")),
                    html.Span(id="site-clock", className="desk-only"),
                    html.Div(id="controls", className="controls"),
                ],
                className="top",
            ),
            html.Main(id="page", className="page", tabIndex=-1),
            html.Nav(id="tabs", className="tabs", **aria(label="Ronda")),
        ],
        className="app",
    )


def skip(say: Words) -> html.A:
    """For the keyboard: past the navigation."""
    return html.A(say("Skip to the page"), href="#page", className="skip")


def navigation(say: Words) -> list[html.Li]:
    """The entries beside the page; the browser marks the current one."""
    return [html.Li(_link(place, with_count=True)) for place in places(say)]


def tabs(say: Words) -> list[Child]:
    """The same entries at the thumb of a phone."""
    return [_link(place) for place in places(say)]


def controls(say: Words, username: str) -> list[Child]:
    """Language, light or dark, and the way out."""
    return [
        html.Div(
            [html.Button(code.upper(), **_language(code, say)) for code in LANGUAGES],
            className="seg",
            role="group",
            **aria(label=say("Language")),
        ),
        html.Button(
            icon("scheme"),
            className="btn q ico",
            title=say("Light or dark"),
            **data(action="scheme"),
            **aria(label=say("Light or dark")),
        ),
        html.Details(
            [
                html.Summary(
                    [
                        html.Span(_initials(username), **hidden()),
                        html.Span(say("User {name}", name=username), className="unseen"),
                    ],
                    className="avatar",
                    title=username,
                ),
                html.Div(
                    [
                        html.P(username, className="b"),
                        html.Button(say("Log out"), className="btn", **data(action="log-out")),
                    ],
                    className="menu",
                ),
            ]
        ),
    ]


def open_alarms(active: list[Anomaly], say: Words) -> list[Child]:
    """How many alarms are open, by severity; a zero is said too, once."""
    critical = sum(anomaly.severity == "critical" for anomaly in active)
    warning = len(active) - critical
    counts: list[Child] = []
    if critical:
        counts.append(_count("critical", say.count("{n} critical", "{n} critical", critical)))
    if warning:
        counts.append(_count("warning", say.count("{n} warning", "{n} warnings", warning)))
    return counts or [_count("healthy", say("No open alarms"))]


def ledger(balances: list[Balance], say: Words) -> list[Child]:
    """What was sent is stored, rejected or on its way; the rest is lost, and said so."""
    counted = [balance for balance in balances if balance.lost is not None]
    lost = sum(balance.lost or 0 for balance in counted)
    sent = sum(balance.sent or 0 for balance in counted)
    whole: list[Child] = (
        [glyph("healthy"), say("Ledger balanced")] if not lost else [glyph("critical"), say("Readings lost")]
    )
    return [
        html.P(whole),
        html.P(say.count("{lost} lost of {n} reading", "{lost} lost of {n} readings", sent, lost=say.number(lost))),
        html.P(f"Ronda {version('ronda')} · Apache-2.0"),
    ]


def _logo() -> html.A:
    return html.A([html.Span(className="mark", **aria(hidden="true")), "Ronda"], href="/ui/", className="logo")


def _link(place: Place, *, with_count: bool = False) -> dcc.Link:
    count = [html.Span(id=f"count-{place.counts}", className="n")] if with_count and place.counts else []
    return dcc.Link([icon(place.icon), html.Span(place.name), *count], href=place.path)


def _language(code: str, say: Words) -> Attributes:
    chosen = "true" if code == say.language else "false"
    return {**data(language=code), **aria(pressed=chosen)}


def _count(state: str, words: str) -> html.Span:
    tones = {"critical": "x-crit", "warning": "x-warn", "healthy": "x-ok"}
    return html.Span([glyph(state), words], className=f"marked {tones[state]}")


def _initials(username: str) -> str:
    parts = username.replace(".", " ").replace("-", " ").split()
    return "".join(part[0] for part in parts[:2]).upper() or "?"
