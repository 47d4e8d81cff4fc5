"""What the lines of a device's chart mean: only those that are drawn, or may be while somebody watches."""

from __future__ import annotations

from collections.abc import Sequence

from dash import html

from dashboard.axes import Json
from dashboard.elements import tone
from dashboard.facts import Anomaly
from dashboard.language import Words


def legend(picture: Json, drawn: Sequence[Anomaly], say: Words) -> html.P:
    """The entries beside the chart's title."""
    entries = [html.Span([html.I(className="key measured"), say("measured")])]
    if draws(picture, "edge"):
        entries.append(html.Span([html.I(className="key ribbon"), say("expected range")]))
    if draws(picture, "outside") or any(anomaly.active for anomaly in drawn):
        hue = tone(max(drawn, key=lambda anomaly: anomaly.raised_at_ms).severity)
        entries.append(html.Span([html.I(className=f"key k-{hue}"), say("outside it")]))
    return html.P(entries, className="legend s12 t2 grow")


def draws(picture: Json, role: str) -> bool:
    """Does the figure show anything in this role: `edge`, the expected range, or `outside`, what left it?"""
    return any(
        value is not None for trace in picture["data"] if trace["meta"].get("role") == role for value in trace["y"]
    )
