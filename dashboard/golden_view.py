"""What stands below the banner: the way with its stations, the narration on one time scale, and the mail."""

from __future__ import annotations

from collections.abc import Sequence

from dash import dcc, html

from dashboard import evidence
from dashboard.elements import Child, aria, card, empty, glyph, icon, state_word
from dashboard.facts import Anomaly, MailSummary, Step, Trace
from dashboard.language import BABEL_LOCALE, LANGUAGES, Words
from dashboard.narration import carries, deed, station_line, station_word
from dashboard.story import WAY, Outcome, Station, receipt, sent, stored, way

_ICONS = {
    "device": "chip",
    "broker": "broker",
    "acquisition": "acquire",
    "validation": "shield",
    "anomaly-detection": "pulse",
    "notification": "bell",
    "mail": "mail",
    "webhook": "open",
    "historian": "store",
}


def before(say: Words) -> list[Child]:
    """The way before the first click, and what a click does."""
    stations = [Station(name, "waiting", None, None) for name in WAY]
    why = say(
        "A rested demonstration machine publishes its last minute with the fault you choose, over the same broker "
        "as every other device. Nothing behind the broker knows that it is simulated."
    )
    return [
        html.Div(
            [
                html.Span(className="ring"),
                html.Div([html.P(say("Ready"), className="banner-title"), html.P(why)], className="grow"),
            ],
            className="banner b-none",
            id="banner",
        ),
        _way(stations, Trace(correlation_id=""), say),
    ]


def unknown(correlation_id: str, say: Words) -> html.Div:
    """Nobody has ever heard of this round."""
    why = say(
        "Nothing is known of {id}. The address may be mistyped, or the round so old that it was cleared away. "
        "Simulate another one above.",
        id=correlation_id,
    )
    return empty(say("No such round"), why)


def way_card(trace: Trace, state: Outcome, say: Words) -> html.Div:
    """The stations in order, each as far as it is known."""
    return _way(way(trace, state), trace, say)


def narration_card(trace: Trace, total: float, say: Words) -> html.Div:
    """One row a hop, with a bar on one true time scale."""
    steps = trace.steps
    count = say.count("{n} step, {length}", "{n} steps, {length}", len(steps), length=say.length(total))
    head = html.Div(
        [
            html.H2(say("Narration")),
            html.Span(count, className="t3 s12 grow"),
            html.Code(f"ronda trace {trace.correlation_id}", className="s12 t2 el desk-only"),
        ],
        className="card-head",
    )
    if not steps:
        return card(head, html.P(say("No hop yet."), className="pad t2"), className="narration")
    titles = [
        say("Time"),
        say("Station"),
        say("What happened"),
        say("Hop"),
        say("0 to {length}", length=say.length(total)),
    ]
    columns = ["", "", "", "num", "scale-head"]
    heads = html.Tr([html.Th(title, className=column) for title, column in zip(titles, columns, strict=True)])
    rows = [
        _hop(step, previous, steps[0], total, trace, say) for step, previous in zip(steps, [None, *steps], strict=False)
    ]
    return card(head, html.Table([html.Thead(heads), html.Tbody(rows)]), _balance(trace, say), className="narration")


def mail_card(trace: Trace, state: Outcome, mail: MailSummary | None, anomaly: Anomaly | None, say: Words) -> html.Div:
    """The mail that went out with the evidence it carries, or why there is none."""
    if state is not Outcome.DELIVERED or anomaly is None:
        return card(
            html.Div(html.H2(say("E-mail")), className="card-head"),
            html.P(_no_mail(state, say), className="pad t2"),
            className="sent",
        )
    spoken = mail_words(mail, anomaly, say) if mail else None
    said = spoken or say
    opened = dcc.Link([icon("open"), say("Open")], href=f"/ui/mail/{mail.id}", className="btn s") if mail else None
    found = receipt(trace, "delivered")
    people = mail.to if mail else ", ".join(found.recipients if found else [])
    at = mail.received_at_ms if mail else found.sent_at_ms if found else 0
    sender = html.Div(
        [
            html.Span(html.Span(className="mark"), className="sender-mark", **aria(hidden="true")),
            html.Div(
                [html.B(f"Ronda, {anomaly.site}"), html.Span(say("to {people}", people=people), className="s12 t2")],
                className="col grow",
            ),
            html.Span(say.clock(at)[:5], className="s12 t3"),
        ],
        className="row gap",
    )
    subject = html.P(
        mail.subject if mail else [glyph(anomaly.severity), state_word(anomaly.severity, say)], className="subject"
    )
    # What the mail says, in the language that it speaks; else our own evidence, and called that.
    told = html.Div(
        [
            None if spoken else html.H3(say("Evidence"), className="s12 t3"),
            html.P(evidence.sentence(anomaly, said), className="sentence"),
            evidence.cause(anomaly, said),
            evidence.picture(anomaly, said),
            evidence.table(anomaly, said),
        ],
        className="col gap",
        lang=BABEL_LOCALE[said.language].replace("_", "-"),
    )
    onward = dcc.Link(
        say("Open {device}", device=anomaly.device),
        href=f"/ui/device/{anomaly.site}/{anomaly.device}?anomaly={anomaly.id}",
        className="btn s p",
    )
    return card(
        html.Div([html.H2(say("E-mail sent"), className="grow"), opened], className="card-head"),
        html.Div([sender, subject], className="envelope"),
        html.Div([told, onward], className="pad col gap"),
        className="sent",
    )


def mail_words(mail: MailSummary, anomaly: Anomaly, say: Words) -> Words | None:
    """The words of the mail's own language, known by the severity in its subject; None where that tells nothing."""
    languages = (Words(language, say.zone) for language in LANGUAGES)
    return next((words for words in languages if state_word(anomaly.severity, words) in mail.subject), None)


def _way(stations: Sequence[Station], trace: Trace, say: Words) -> html.Div:
    return card(html.Ol([_station(station, trace, say) for station in stations], className="way"), className="way-card")


def _station(station: Station, trace: Trace, say: Words) -> html.Li:
    marks = {
        "done": html.Span(icon("check"), className="seal"),
        "failed": html.Span(glyph("critical"), className="seal"),
        "running": html.Span(className="ring turning"),
    }
    box = html.Span([icon(_ICONS.get(station.name, "path")), marks.get(station.state)], className="box")
    hop = say.length(station.hop_ms) if station.hop_ms is not None else ""
    track = html.Span(
        [html.B(hop), html.Span(className="rail"), html.Code(carries(station.name, say))], className="hop"
    )
    words = {"waiting": say("waiting"), "running": say("running"), "done": say("done"), "failed": say("failed")}
    return html.Li(
        [
            track,
            box,
            html.B(station_word(station.name, say)),
            html.Span(station_line(station, trace, say), className="s12 under"),
            html.Span(words[station.state], className="unseen"),
        ],
        className=f"station is-{station.state}",
    )


def _hop(step: Step, previous: Step | None, first: Step, total: float, trace: Trace, say: Words) -> html.Tr:
    failed = step.did in ("failed", "rejected")
    took = step.at_ms - previous.at_ms if previous else 0.0
    start = (previous.at_ms - first.at_ms) / total * 100 if previous and total else 0.0
    width = max(took, 0.0) / total * 100 if total else 0.0
    bar = html.Span(
        className=f"fill f-{'crit' if failed else 'ok'}",
        style={"marginLeft": f"{min(start, 98):.2f}%", "width": f"max(2px, {min(width, 100 - start):.2f}%)"},
    )
    name = html.Span(
        [glyph("critical" if failed else "healthy"), station_word(step.station, say)], className="marked b"
    )
    sign = "+" if previous else ""
    return html.Tr(
        [
            html.Td(say.clock(step.at_ms, millis=True), className="t2 tn"),
            html.Td(name),
            html.Td(deed(step, trace, say), className="wrap"),
            html.Td(f"{sign}{say.length(max(took, 0))}", className="num m"),
            html.Td(html.Span(bar, className="track", **aria(hidden="true")), className="scale"),
        ]
    )


def _balance(trace: Trace, say: Words) -> html.P:
    published, kept = sent(trace), stored(trace)
    refused = len(trace.rejected)
    missing = max(published - kept - refused, 0)
    parts: list[Child] = [
        say.count("{n} reading sent", "{n} readings sent", published),
        say.count("{n} stored", "{n} stored", kept),
        say.count("{n} in quarantine", "{n} in quarantine", refused),
        html.B(
            say.count("{n} still on its way", "{n} still on their way", missing)
            if missing
            else say.count("{n} lost", "{n} lost", 0)
        ),
    ]
    return html.P(
        [glyph("healthy" if not missing and not refused else "learning"), *(html.Span(part) for part in parts)],
        className="balance s12 t2",
    )


def _no_mail(state: Outcome, say: Words) -> str:
    words = {
        Outcome.RUNNING: say("It appears here once the mail server has accepted it."),
        Outcome.QUIET: say("No fault, no mail: nobody is disturbed for a healthy machine."),
        Outcome.DELIVERED: say("The notification was delivered; its evidence is not stored yet. Load the page again."),
    }
    return words.get(state, say("No mail went out; the banner says why."))
