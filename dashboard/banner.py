"""The golden path's verdict: green only on the receipt, and otherwise what is missing and what to do."""

from __future__ import annotations

from typing import NamedTuple

from dash import html

from dashboard.elements import Child, data, glyph, icon
from dashboard.facts import Notification, Trace
from dashboard.language import Words
from dashboard.narration import station_word
from dashboard.story import (
    STOPPED_AFTER_MS,
    Outcome,
    delivered_after_ms,
    is_judged_healthy,
    is_whole,
    receipt,
    stopped_at,
    way,
)
from dashboard.tellings import channel_word, reason_word


class Verdict(NamedTuple):
    """What the banner says, and in which tone: ok, crit, or none."""

    tone: str
    title: str
    detail: Child


def banner(trace: Trace, state: Outcome, say: Words) -> html.Div:
    """The verdict with the correlation id to go on with."""
    verdict = verdict_for(trace, state, say)
    mark = {"ok": html.Span(icon("check"), className="seal"), "crit": glyph("critical")}.get(
        verdict.tone, html.Span(className="ring turning" if state is Outcome.RUNNING else "ring")
    )
    told = html.Div(
        [html.P(verdict.title, className=f"banner-title x-{verdict.tone}"), html.P(verdict.detail)], className="grow"
    )
    copy = html.Button([icon("copy"), html.Span(say("Copy"))], className="btn s", **data(copy=trace.correlation_id))
    following = html.Div(
        [html.Span(say("correlation id"), className="s12 t2"), html.Code(trace.correlation_id)],
        className="col end correlation",
    )
    return html.Div(
        [mark, told, following, copy], className=f"banner b-{verdict.tone}", id="banner", **data(outcome=str(state))
    )


def verdict_for(trace: Trace, state: Outcome, say: Words) -> Verdict:
    """The words for an outcome."""
    makers = {
        Outcome.DELIVERED: _delivered,
        Outcome.FAILED: _failed,
        Outcome.SUPPRESSED: _suppressed,
        Outcome.REJECTED: _rejected,
        Outcome.QUIET: _quiet,
        Outcome.STOPPED: _stopped,
        Outcome.RUNNING: _running,
    }
    return makers[state](trace, say)


def _delivered(trace: Trace, say: Words) -> Verdict:
    found = receipt(trace, "delivered")
    if found is None:
        raise ValueError("a delivery without a receipt is not shown as one")
    detail = [_confirmed(found, say), *_after(trace, say), " ", say("Receipt:"), " ", _word_of(found)]
    return Verdict("ok", say("Notification delivered"), detail)


def _confirmed(found: Notification, say: Words) -> str:
    time = say.clock(found.sent_at_ms)
    if found.channel == "mail":
        return say("The mail server confirmed at {time}.", time=time)
    return say("The webhook confirmed at {time}.", time=time)


def _after(trace: Trace, say: Words) -> list[Child]:
    """How long it took; not before every hop is known, since the first may come last."""
    after_ms = delivered_after_ms(trace)
    if after_ms is None or not is_whole(trace):
        return []
    return [" ", html.B(say("{length} after the reading.", length=say.length(after_ms)))]


def _failed(trace: Trace, say: Words) -> Verdict:
    failed, delivered = receipt(trace, "failed"), receipt(trace, "delivered")
    if failed is None:
        raise ValueError("a failure that no channel reported is not shown as one")
    if failed.channel not in ("mail", "webhook"):
        return Verdict(
            "crit", say("Not delivered"), [say("There is no channel to send through:"), " ", _word_of(failed)]
        )
    channel = channel_word(failed.channel, say)
    detail: list[Child] = [
        say("The {channel} was refused; the other side said:", channel=channel),
        " ",
        _word_of(failed),
        " ",
        say("Check the recipient and the server in the settings, then simulate again."),
    ]
    if delivered is None:
        return Verdict("crit", say("Not delivered"), detail)
    detail += [
        " ",
        say("Delivered by {channel}", channel=channel_word(delivered.channel, say)),
        ": ",
        _word_of(delivered),
    ]
    return Verdict("crit", say("Not delivered by {channel}", channel=channel), detail)


def _word_of(told: Notification) -> html.Code:
    """The other side's own word."""
    return html.Code(told.receipt, className="wrap")


def _suppressed(trace: Trace, say: Words) -> Verdict:
    found = receipt(trace, "suppressed")
    reason = reason_word(found.decision if found else "", say)
    return Verdict(
        "none", say("Held back"), say("Nobody was told: {reason}. The anomaly is in the list.", reason=reason)
    )


def _rejected(trace: Trace, say: Words) -> Verdict:
    first = trace.rejected[0]
    detail = say(
        "{stage} put readings into quarantine: {detail}",
        stage=station_word(str(first.get("stage", "")), say),
        detail=str(first.get("detail", "")),
    )
    return Verdict("crit", say("Readings were refused"), detail)


def _quiet(_: Trace, say: Words) -> Verdict:
    detail = say("The minute was judged healthy, so nobody is disturbed. That is the right ending without a fault.")
    return Verdict("none", say("Nothing to tell"), detail)


def _stopped(trace: Trace, say: Words) -> Verdict:
    last, missing = stopped_at(way(trace, Outcome.STOPPED))
    if missing is None:
        where = say("Every station answered, but no receipt came.")
    elif last is None:
        where = say("No station has answered.")
    else:
        where = say(
            "It passed {last}; {missing} did not answer.",
            last=station_word(last, say),
            missing=station_word(missing, say),
        )
    limit = say("No receipt within {limit}.", limit=say.length(STOPPED_AFTER_MS))
    again = say("Is that part running? Its log says more; then simulate again.")
    return Verdict("crit", say("Stopped on the way"), f"{where} {limit} {again}")


def _running(trace: Trace, say: Words) -> Verdict:
    if is_judged_healthy(trace):
        return Verdict("none", say("On its way"), say("Detection has judged it and found nothing so far."))
    last, missing = stopped_at(way(trace, Outcome.RUNNING))
    name = station_word(missing or last or "device", say)
    return Verdict("none", say("On its way"), say("Waiting for: {station}", station=name))
