"""The mails that the local server received, so that a laptop without a mail account can read what people get."""

from __future__ import annotations

from dash import dcc, html

from dashboard.desk import Reader
from dashboard.elements import Child, aria, empty, icon
from dashboard.facts import Mail, MailSummary, fact, facts
from dashboard.language import Words

MAILS_SHOWN = 100


async def show_all(reader: Reader, **_: object) -> tuple[str, Child]:
    """The page at `/ui/mail`, newest first."""
    say = reader.say
    mails = facts(MailSummary, await reader.api.mails(MAILS_SHOWN))
    title = say("Mail")
    head = html.Div(
        [html.H1(title), html.Span(say("received by the local mail server"), className="t3")], className="page-title"
    )
    if not mails:
        return title, [head, _no_mails(say)]
    rows = [_line(mail, reader) for mail in mails]
    return title, [head, html.Ol(rows, className="card rows mails", **aria(label=say("Mails, newest first")))]


async def show_one(reader: Reader, *, mail_id: str, **_: object) -> tuple[str, Child]:
    """The page at `/ui/mail/{id}`: the mail as its reader sees it, in a frame that can run nothing."""
    say = reader.say
    mail = fact(Mail, await reader.api.mail(mail_id))
    back = dcc.Link([icon("back"), say("All mails")], href="/ui/mail", className="btn s")
    facts_ = html.Dl(
        [
            html.Dt(say("From")),
            html.Dd(mail.sender),
            html.Dt(say("To")),
            html.Dd(mail.to),
            html.Dt(say("Received")),
            html.Dd(f"{say.day(mail.received_at_ms)}, {say.clock(mail.received_at_ms)}"),
            html.Dt(say("Correlation id")),
            html.Dd(_trace(mail)),
        ],
        className="pairs",
    )
    # A mail is foreign text: no scripts, no forms, and no way to reach this page; its links open one of their own.
    frame = (
        html.Iframe(
            srcDoc=mail.html,
            title=say("The mail"),
            className="mail-frame",
            style={"--rows": mail.html.count("<tr")},
            sandbox="allow-popups allow-popups-to-escape-sandbox",
        )
        if mail.html
        else None
    )
    plain = html.Details(
        [html.Summary(say("The text part")), html.Pre(mail.text)], className="card plain", open=not mail.html
    )
    head = [html.P(back, className="back"), html.H1(mail.subject, className="page-title"), facts_]
    return mail.subject, [*head, frame, plain]


def _line(mail: MailSummary, reader: Reader) -> html.Li:
    say = reader.say
    cells = [
        html.Span(
            [html.B(mail.subject), html.Br(), html.Span(say("to {people}", people=mail.to), className="t2 s12")],
            className="what",
        ),
        html.Span(say.when(mail.received_at_ms, reader.now_ms), className="num when m"),
    ]
    return html.Li(dcc.Link(cells, href=f"/ui/mail/{mail.id}", className="line"))


def _trace(mail: Mail) -> Child:
    if not mail.correlation_id:
        return "–"
    return dcc.Link(html.Code(mail.correlation_id), href=f"/ui/golden-path?id={mail.correlation_id}")


def _no_mails(say: Words) -> html.Div:
    why = say(
        "Mails appear here when an anomaly is notified and no mail server of your own is set "
        "(EMAIL_SMTP_HOST). With one set, look into its mailbox."
    )
    return empty(
        say("No mails yet"), why, dcc.Link(say("Try the golden path"), href="/ui/golden-path", className="btn s")
    )
