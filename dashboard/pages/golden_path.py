"""The golden path: one reading from the sensor to the e-mail, narrated hop by hop as it really happens."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dash import Input, Output, State, dcc, html, no_update

from dashboard import banner, golden_view
from dashboard.desk import Desk, Reader
from dashboard.elements import Child, Retry, aria, data, icon, store
from dashboard.facts import Anomaly, MailSummary, Trace, fact, facts
from dashboard.guard import guarded
from dashboard.index import Index
from dashboard.language import Words
from dashboard.story import Outcome, is_over, outcome, total_ms
from ronda.client import ApiError

# The stream says when something happened; this often the page looks by itself, should the stream be away.
_LOOK_MS = 1000
DEFAULT_FAULT = "bearing_wear"
NOT_FOUND = 404
# Drawn by `make load`.
LOAD_PROOF = "/ui/assets/load-proof.png"

Run = dict[str, Any]


async def show(reader: Reader, *, query: Mapping[str, str]) -> tuple[str, Child]:
    """The page at `/ui/golden-path`; `?id=` tells an earlier round again."""
    say = reader.say
    title = say("🚀 End-to-End Flow Demo")
    lead = say(
        "A reading out of the ordinary travels the real chain, from the sensor to the e-mail, "
        "with the time of every hop."
    )
    known = query.get("id")
    # Told again by its address it began with its first hop, or, where nothing is known of it yet, just now.
    run: Run | None = {"id": known, "began_ms": reader.now_ms, "clicked": False} if known else None
    fault = html.Div([html.Label(say("Fault"), htmlFor="fault-choice"), _faults(say)], className="field")
    button = html.Button([icon("play"), say("Simulate Anomaly Ingestion")], id="simulate", className="btn p")
    return title, [
        dcc.Store(id="run", data=run),
        store("fault", DEFAULT_FAULT),
        store("trace-pulse", 0),
        dcc.Interval(id="look", interval=_LOOK_MS, disabled=run is None),
        html.Div(
            [html.Div([html.H1(title), html.P(lead, className="t2")], className="grow"), fault, button],
            className="page-title actions",
        ),
        html.Div(golden_view.before(say), id="round", **aria(live="polite", busy="false")),
        html.P(
            html.A(say("What this path carried under load"), href=LOAD_PROOF, target="_blank", className="t2"),
            className="s12",
        ),
    ]


def register(app: Index, desk: Desk) -> None:
    """The click, and the narration that follows it."""

    @app.callback(
        Output("run", "data"),
        Output("round", "children", allow_duplicate=True),
        Input("simulate", "n_clicks"),
        State("fault", "data"),
        prevent_initial_call=True,
        running=[(Output("simulate", "disabled"), True, False)],
    )
    async def simulate(_: int | None, fault: str) -> tuple[Any, Child]:
        reader = desk.reader()

        async def ask(reader: Reader) -> Run:
            answer = await reader.api.simulate(fault)
            return {"id": answer["correlation_id"], "began_ms": reader.now_ms, "clicked": True}

        what = reader.say("The simulation could not be started")
        run = await guarded(reader, what, ask, Retry("click", "simulate"))
        return (run, no_update) if isinstance(run, dict) else (None, run)

    @app.callback(
        Output("round", "children"),
        Output("look", "disabled"),
        Input("run", "data"),
        Input("trace-pulse", "data"),
        Input("look", "n_intervals"),
        prevent_initial_call=True,
    )
    async def narrate(run: Run | None, _: int, __: int | None) -> tuple[Any, Any]:
        if run is None:
            return no_update, True
        reader = desk.reader()

        async def ask(reader: Reader) -> tuple[Child, bool]:
            return await _round(reader, run)

        told = await guarded(reader, reader.say("The trace could not be read"), ask, Retry("pulse", "trace-pulse"))
        return told if isinstance(told, tuple) else (told, True)

    app.in_browser("follow", Input("run", "data"))


async def _round(reader: Reader, run: Run) -> tuple[Child, bool]:
    """The round as it stands, and whether it is over."""
    trace = await _trace(reader, run["id"])
    if trace is None and not run["clicked"]:
        return golden_view.unknown(run["id"], reader.say), True
    trace = trace or Trace(correlation_id=run["id"])
    began_ms = min([run["began_ms"], *(step.at_ms for step in trace.steps)])
    state = outcome(trace, began_ms=began_ms, now_ms=reader.now_ms)
    mail = await _mail(reader, trace.correlation_id) if state is Outcome.DELIVERED else None
    anomaly = await _anomaly(reader, trace) if state.settled else None
    children = [
        banner.banner(trace, state, reader.say),
        golden_view.way_card(trace, state, reader.say),
        html.Div(
            [
                golden_view.narration_card(trace, total_ms(trace), reader.say),
                golden_view.mail_card(trace, state, mail, anomaly, reader.say),
            ],
            className="two-thirds",
        ),
    ]
    return children, is_over(trace, state, reader.now_ms)


async def _trace(reader: Reader, correlation_id: str) -> Trace | None:
    """The trace so far; None where nothing is stored of it, which right after the click is an answer too."""
    try:
        return fact(Trace, await reader.api.trace(correlation_id))
    except ApiError as refusal:
        if refusal.status != NOT_FOUND:
            raise
        return None


async def _mail(reader: Reader, correlation_id: str) -> MailSummary | None:
    """The mail as the local server received it; None where mails go to a server outside."""
    try:
        mails = facts(MailSummary, await reader.api.mails(50))
    except ApiError:
        return None
    return next((mail for mail in mails if mail.correlation_id == correlation_id), None)


async def _anomaly(reader: Reader, trace: Trace) -> Anomaly | None:
    if not trace.anomalies:
        return None
    return fact(Anomaly, await reader.api.anomaly(trace.anomalies[0].id))


def _faults(say: Words) -> html.Select:
    # The browser writes the choice into the store "fault": the native control is the best one on a phone.
    choices = {
        DEFAULT_FAULT: say("Bearing wear"),
        "imbalance": say("Imbalance"),
        "cavitation": say("Cavitation"),
        "blocked_valve": say("Blocked valve"),
        "overheating": say("Overheating"),
        "none": say("None: a healthy minute"),
    }
    options = [html.Option(words, value=code) for code, words in choices.items()]
    return html.Select(options, id="fault-choice", **data(store="fault"))
