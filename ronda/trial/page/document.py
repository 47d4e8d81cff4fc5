"""The whole page: one file, with a policy that lets nothing in and nothing out."""

from __future__ import annotations

import base64
import hashlib
from importlib.resources import files
from urllib.parse import quote

from ronda.trial.comparison import Comparison
from ronda.trial.page import evidence, lesson, overview
from ronda.trial.page.glyphs import badge, mark
from ronda.trial.page.markup import Markup, joined, tag
from ronda.trial.search import Found, Trial
from ronda.trial.words import Words

# Cards are for the worst; a recording with more anomalies than this has them all in the table.
MOST_CARDS = 15
_ICON = (
    "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 16 16'><g fill='none' stroke='#7A8490' stroke-width='2' "
    "stroke-linecap='round'><path d='M8.6 2.53A5.6 5.6 0 1 0 13.57 8.1'/></g>"
    "<circle cx='12.55' cy='3.55' r='2.05' fill='#7A8490'/><circle cx='8' cy='8.1' r='1.75' fill='#7A8490'/></svg>"
)


def page(trial: Trial, comparison: Comparison | None, say: Words, *, made_by: str) -> str:
    """HTML in the reader's language. `made_by` names the program and how it was called."""
    style, script = _inline("page.css"), _inline("page.js")
    title = f"{trial.recording.name} · Ronda"
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        tag("meta", http_equiv="Content-Security-Policy", content=_policy(style, script)),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("link", rel="icon", href=f"data:image/svg+xml,{quote(_ICON)}"),
        _element("style", style),
    )
    body = tag(
        "body",
        _skip(say),
        _banner(trial),
        _main(trial, comparison, say),
        _foot(made_by, say),
        _element("script", script),
    )
    language = {"en": "en", "pt": "pt-BR"}[say.language]
    elapsed = "yes" if trial.recording.elapsed else None
    return "<!doctype html>\n" + tag(
        "html",
        head,
        body,
        lang=language,
        data_elapsed=elapsed,
        data_offset=say.offset_ms(int(trial.recording.times[0])),
    )


def _main(trial: Trial, comparison: Comparison | None, say: Words) -> Markup:
    return tag(
        "main",
        tag("h1", overview.headline(trial, say)),
        tag("p", _about(trial, say), class_="lead"),
        lesson.notes(trial, say),
        overview.facts(trial, say),
        _section("score", say("Score over time"), overview.score_chart(trial, comparison, say)),
        _found(trial, say),
        None
        if comparison is None
        else _section("labels", say("Against the data's own label"), lesson.against_labels(comparison, say)),
        _section("learned", say("What was learned"), lesson.learned(trial, say)),
        _section("limits", say("What this cannot say"), lesson.limits_of_this(trial, say)),
        id="main",
        tabindex=-1,
    )


def _found(trial: Trial, say: Words) -> Markup | None:
    if not trial.found:
        return None
    numbered = list(enumerate(trial.found, 1))
    worst = sorted(numbered, key=lambda each: -each[1].peak_score)[:MOST_CARDS]
    cards = [evidence.card(trial, found, number, say) for number, found in sorted(worst, key=lambda each: each[0])]
    shown = {number for number, _ in worst}
    listed = _list(trial, numbered, shown, say) if len(numbered) > 1 else None
    more = None
    if len(numbered) > len(worst):
        more = tag("p", say("Below are the {n} with the highest score.", n=len(worst)), class_="meta")
    return _section("found", say("What was found"), joined(listed, more, *cards))


def _list(trial: Trial, numbered: list[tuple[int, Found]], shown: set[int], say: Words) -> Markup:
    names = ["", say("Severity"), say("Since"), say("Lasted"), say("Highest score"), say("First sensors")]
    head = tag("tr", *(tag("th", name, scope="col") if name else tag("td") for name in names))
    body = [_entry(trial, number, found, say, linked=number in shown) for number, found in numbered[:500]]
    table = tag("table", tag("thead", head), tag("tbody", *body), class_="plain list")
    return tag("div", table, class_="card scrolls", tabindex=0, role="region", aria_label=say("All anomalies"))


def _entry(trial: Trial, number: int, found: Found, say: Words, *, linked: bool) -> Markup:
    sensors = ", ".join(say.sensor(sensor.name) for sensor in found.raised.sensors[:2])
    name = tag("a", f"{number}", href=f"#anomaly-{number}") if linked else f"{number}"
    cells = [
        name,
        badge(found.look, say(found.look.capitalize())),
        say.moment(found.since_ms, day=True),
        say.duration(evidence.lasted_ms(trial, found)),
        "–" if found.about_sensor else say.fixed(found.peak_score, 1),
        sensors,
    ]
    return tag("tr", *(tag("td", cell) for cell in cells))


def _about(trial: Trial, say: Words) -> str:
    recording = trial.recording
    parts = [say.counted(len(recording.times), len(recording.metrics))]
    parts.append(say.every(recording.cadence_ms))
    since, until = int(recording.times[0]), int(recording.times[-1])
    parts.append(
        say(
            "{since} to {until}",
            since=say.moment(since, day=True),
            until=say.moment(until, day=say.day(since) != say.day(until)),
        )
    )
    return " · ".join([*parts, *filter(None, [say.zone()])])


def _banner(trial: Trial) -> Markup:
    return tag("header", mark(), tag("strong", "Ronda"), tag("span", trial.recording.name, class_="file"))


def _skip(say: Words) -> Markup:
    return tag("a", say("Skip to the result"), href="#main", class_="skip")


def _foot(made_by: str, say: Words) -> Markup:
    return tag(
        "footer", tag("p", say("Made by {program}; this page asks no other computer for anything.", program=made_by))
    )


def _section(name: str, title: str, content: Markup) -> Markup:
    return tag("section", tag("h2", title, id=f"{name}-title"), content, aria_labelledby=f"{name}-title")


def _inline(name: str) -> str:
    return (files("ronda.trial.page") / name).read_text("utf-8")


def _element(kind: str, text: str) -> Markup:
    """Style or script as it stands: it is ours, and must not be escaped."""
    return Markup(f"<{kind}>{text}</{kind}>")


def _policy(style: str, script: str) -> str:
    """Only these two texts count as style and script: a column name that holds markup could not do anything even so."""
    return f"default-src 'none'; img-src data:; style-src '{_digest(style)}'; script-src '{_digest(script)}'"


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
