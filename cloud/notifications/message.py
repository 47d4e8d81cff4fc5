"""The mail itself: one notice as text, HTML and two pictures in one message, with nothing fetched from outside."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import format_datetime

from cloud.notifications.facts import Facts, facts_of
from cloud.notifications.html import html_part
from cloud.notifications.notice import CORRELATION_HEADER, Locale
from cloud.notifications.picture import Picture
from cloud.notifications.plain import one_line
from cloud.notifications.refusal import AnyNotice, RefusalNotice, refusal_text
from cloud.notifications.text import text_part
from contract.events import Severity

_CHART, _MARK = "chart@notifications.ronda", "mark@notifications.ronda"


def compose(notice: AnyNotice, sender: str, recipients: Sequence[str]) -> EmailMessage:
    """The mail for `notice`. One about an anomaly has a picture, some tens of milliseconds: not for the event loop."""
    message = EmailMessage(policy=SMTP)
    if isinstance(notice, RefusalNotice):
        _head(message, notice, notice.subject, sender, recipients)
        message.set_content(refusal_text(notice), cte="quoted-printable")
    else:
        facts = facts_of(notice)
        _head(message, notice, facts.subject, sender, recipients)
        _fill(message, facts)
    return message


def _fill(message: EmailMessage, facts: Facts) -> None:
    # Not at the top: matplotlib costs 40 MB and half a second, which only a process that writes mails should pay.
    from cloud.notifications import chart, mark

    message.set_content(text_part(facts), cte="quoted-printable")
    html = html_part(
        facts,
        chart=f"cid:{_CHART}",
        mark=f"cid:{_MARK}",
        chart_size=(chart.WIDTH, chart.HEIGHT),
        mark_size=mark.SIZE,
    )
    message.add_alternative(html, subtype="html", cte="quoted-printable")
    _attach(message, _MARK, mark.draw_mark(), "ronda.png")
    if facts.picture is not None:
        _attach(message, _CHART, chart.draw(facts.picture), "chart.png")


def warm_up() -> None:
    """Load what draws, and draw once, so that the first mail is as quick as the others: about a second."""
    from cloud.notifications import chart, mark

    mark.draw_mark()
    chart.draw(
        Picture(
            measured_at_ms=[0, 60_000],
            values=[1.0, 2.0],
            expected=1.0,
            expected_low=0.5,
            expected_high=1.5,
            since_ms=30_000,
            severity=Severity.WARNING,
            locale=Locale(),
            pattern="%H:%M",
            title="",
            legend=(),
            alt="",
        )
    )


def _head(message: EmailMessage, notice: AnyNotice, subject: str, sender: str, recipients: Sequence[str]) -> None:
    message["From"] = Address("Ronda", addr_spec=sender)
    message["To"] = [Address(addr_spec=recipient) for recipient in recipients]
    message["Subject"] = subject
    message["Date"] = format_datetime(datetime.fromtimestamp(notice.at_ms / 1000, UTC))
    message["Message-ID"] = notice.message_id
    # One anomaly is one thread: all its mails refer to the same id, which no mail bears.
    message["References"] = notice.thread_id
    # RFC 3834: nobody's absence notice shall answer a machine.
    message["Auto-Submitted"] = "auto-generated"
    message[CORRELATION_HEADER] = one_line(notice.correlation_id)
    message["X-Ronda-Event-Id"] = notice.event.id


def _attach(message: EmailMessage, cid: str, png: bytes, filename: str) -> None:
    html = message.get_body(("related", "html"))
    if not isinstance(html, EmailMessage):
        raise TypeError("the HTML part is added before its pictures")
    html.add_related(png, "image", "png", cid=f"<{cid}>", filename=filename, disposition="inline")
