"""The small pieces that every page is made of: glyphs, badges, tiles, empty states and errors."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from dash import dcc, html

from dashboard.language import Words

# State → the glyph's file, the tone of the style sheet. The word is always beside the glyph.
_GLYPHS = {
    "critical": ("critical", "crit"),
    "warning": ("warning", "warn"),
    "info": ("info", "info"),
    "healthy": ("healthy", "ok"),
    "off": ("machine-off", "none"),
    "learning": ("learning", "none"),
    "resting": ("machine-off", "none"),
    "no_data": ("no-data", "none"),
}

Child = Any
# Dash types each attribute that it knows, and lets every `data-` and `aria-` through untyped.
Attributes = dict[str, Any]


def state_word(state: str, say: Words) -> str:
    """The name of a state."""
    words = {
        "critical": say("Critical"),
        "warning": say("Warning"),
        "info": say("Info"),
        "healthy": say("Healthy"),
        "off": say("Machine off"),
        "learning": say("Learning"),
        "resting": say("Resting"),
        "no_data": say("No data"),
    }
    return words.get(state, state)


def origin_word(origin: str, say: Words) -> str:
    """How the device came here; an unknown way as it is."""
    words = {
        "demo": say("demonstration"),
        "emulator": say("emulator"),
        "provisioned": say("provisioned"),
        "replay": say("recording"),
        "seed": say("made-up past"),
        "http": "HTTP",
    }
    return words.get(origin, origin)


def tone(state: str) -> str:
    """The style sheet's name for a state's hue."""
    return _GLYPHS.get(state, _GLYPHS["no_data"])[1]


def glyph(state: str) -> html.Span:
    """The state's shape in its hue; say the word beside it."""
    name, hue = _GLYPHS.get(state, _GLYPHS["no_data"])
    return html.Span(className=f"glyph glyph-{name} k-{hue}", **hidden())


def icon(name: str) -> html.Span:
    """A line drawing in the colour of the text around it."""
    return html.Span(className=f"icon icon-{name}", **hidden())


def store(name: str, value: Any) -> html.Div:
    """A value that the browser's own scripts may set; they see by the place around it that the page has it."""
    return html.Div(dcc.Store(id=name, data=value), id=f"{name}-place", hidden=True)


def badge(state: str, *children: Child) -> html.Span:
    """A tinted label: the subject's own state."""
    return html.Span([glyph(state), *children], className=f"badge {tone(state)}")


def marked(state: str, say: Words, word: str | None = None) -> html.Span:
    """Glyph and word without a tint, for rows."""
    return html.Span([glyph(state), word or state_word(state, say)], className=f"marked x-{tone(state)}")


def card(*children: Child, className: str = "", **more: Any) -> html.Div:  # noqa: N803  # Dash's own name
    """A bordered ground for one subject."""
    return html.Div(list(children), className=f"card {className}".strip(), **more)


def empty(title: str, why: str, *actions: Child) -> html.Div:
    """Nothing to show: what is missing, why, and what to do."""
    return card(html.H2(title), html.P(why), *actions, className="note")


class Retry(NamedTuple):
    """What to do once more: `click` the element of that id, or `pulse` the store that makes the callback ask again."""

    how: str
    target: str


WHOLE_PAGE = Retry("pulse", "page-pulse")


def error(say: Words, what: str, detail: str, request_id: str | None, retry: Retry) -> html.Div:
    """Something failed: what, why, the id to ask about on a line of its own, and another try."""
    asked = html.P([say("Id"), " ", html.Code(request_id)], className="s12 wrap") if request_id else None
    return card(
        html.H2([glyph("critical"), what]),
        html.P(detail),
        asked,
        html.Button(say("Retry"), className="btn s", **data(action=f"retry-{retry.how}", target=retry.target)),
        className="note",
        role="alert",
    )


def spark(label: str, shape: Mapping[str, Any], className: str = "spark") -> html.Span:  # noqa: N803  # Dash's own name
    """A small line that the browser draws in the page's colours; `label` says what it shows.

    `shape`: `t` epoch ms and `v` values (None is a gap), and optionally `low` and `high` of the expected range, `band`
    the time at which the anomaly begins, epoch ms, `tone`, `axis` to write the scale.
    """
    return html.Span(className=className, role="img", **aria(label=label), **data(spark=json.dumps(shape)))


def segmented(label: str, choices: Sequence[tuple[str, str, bool]]) -> html.Div:
    """A few exclusive choices as links: (words, address, chosen)."""
    # The browser marks `on` for screen readers: Dash's link takes no attributes of its own.
    links = [dcc.Link(words, href=href, className="on" if chosen else "") for words, href, chosen in choices]
    return html.Div(links, className="seg", role="group", **aria(label=label))


def ago(since_ms: int, now_ms: int, say: Words, device: str | None = None) -> html.Span:
    """How long ago; the browser counts on, and starts again when that device speaks."""
    more = {"seen": device} if device else {}
    return html.Span(say.ago(since_ms, now_ms), **data(since=str(since_ms), **more))


def data(**values: str) -> Attributes:
    """`data-…` attributes."""
    return {f"data-{name.replace('_', '-')}": value for name, value in values.items()}


def aria(**values: str) -> Attributes:
    """`aria-…` attributes."""
    return {f"aria-{name}": value for name, value in values.items()}


def hidden() -> Attributes:
    """For decoration that a screen reader should not read."""
    return aria(hidden="true")
