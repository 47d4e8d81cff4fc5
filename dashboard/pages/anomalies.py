"""The list of anomalies, newest first: what happened to which machine, and who was told."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode

from dash import Input, Output, State, dcc, html

from dashboard import evidence
from dashboard.desk import Desk, Reader
from dashboard.elements import Child, aria, badge, data, empty, glyph, icon, segmented, state_word, tone
from dashboard.facts import Anomaly, Notification, fact, facts
from dashboard.guard import guarded
from dashboard.index import Index
from dashboard.language import Words
from dashboard.tellings import channel_word, told

PAGE_LENGTH = 50


async def show(reader: Reader, *, query: Mapping[str, str]) -> tuple[str, Child]:
    """The page at `/ui/anomalies`; `?show=active`, `?id=` opens one beside the list, `?cursor=` goes on."""
    wanted = {name: query[name] for name in ("show", "cursor") if query.get(name)}
    chosen = query.get("id")
    children: list[Child] = [
        dcc.Store(id="anomalies-query", data={**wanted, **({"id": chosen} if chosen else {})}),
        html.Div(await _list(reader, wanted, chosen), id="anomalies", className="list-side"),
    ]
    if chosen:
        children.append(await _drawer(reader, chosen, wanted))
    return reader.say("Anomalies"), html.Div(children, className="with-drawer" if chosen else "")


def register(app: Index, desk: Desk) -> None:
    """The list is renewed when the reader asks for the new ones, so that no row jumps under the pointer."""

    @app.callback(
        Output("anomalies", "children"),
        Input("show-new", "n_clicks"),
        State("anomalies-query", "data"),
        prevent_initial_call=True,
    )
    async def renew(_: int | None, query: dict[str, str]) -> Child:
        reader = desk.reader()

        async def ask(reader: Reader) -> Child:
            return await _list(reader, {"show": query.get("show", "")}, query.get("id"))

        return await guarded(reader, reader.say("The anomalies could not be loaded"), ask)


async def _list(reader: Reader, wanted: Mapping[str, str], chosen: str | None) -> list[Child]:
    say = reader.say
    only_active = wanted.get("show") == "active"
    answer = await reader.api.anomalies(
        phase="active" if only_active else None, limit=PAGE_LENGTH, cursor=wanted.get("cursor")
    )
    anomalies = facts(Anomaly, answer)
    pill = html.Button(
        [icon("up"), html.Span(**data(new_count="0"))],
        id="show-new",
        className="btn pill",
        hidden=True,
        **aria(live="polite"),
    )
    head = html.Div(
        [html.H1(say("Anomalies")), html.Span(_total(anomalies, answer, say), className="t3 grow"), pill],
        className="page-title",
    )
    choices = segmented(
        say("Which anomalies"),
        [
            (say("All"), "/ui/anomalies", not only_active),
            (say("Only active"), "/ui/anomalies?show=active", only_active),
        ],
    )
    if not anomalies:
        return [head, choices, _nothing(only_active, say)]
    rows = [_row(anomaly, wanted, chosen, reader) for anomaly in anomalies]
    older = _older(answer.get("next"), wanted, say)
    return [head, choices, html.Ol(rows, className="card rows", **aria(label=say("Anomalies, newest first"))), older]


def _row(anomaly: Anomaly, wanted: Mapping[str, str], chosen: str | None, reader: Reader) -> html.Li:
    say = reader.say
    until = anomaly.cleared_at_ms or reader.now_ms
    cells = [
        html.Span(
            [glyph(anomaly.severity), state_word(anomaly.severity, say)],
            className=f"marked severity x-{tone(anomaly.severity)}",
        ),
        html.Span(
            [
                html.B(anomaly.device),
                html.Span(f" {anomaly.site}", className="t3 s12"),
                html.Br(),
                html.Span(evidence.sentence(anomaly, say), className="t2"),
            ],
            className="what",
        ),
        html.Span(
            [
                html.Span(say.when(anomaly.raised_at_ms, reader.now_ms), className="m"),
                html.Br(),
                html.Span(say.length(until - anomaly.since_ms), className="t2 s12"),
            ],
            className="num when",
        ),
        html.Span(
            [
                html.Span(
                    [
                        html.Span(className="dot" if anomaly.active else "dot off", **aria(hidden="true")),
                        say("Active") if anomaly.active else say("Cleared"),
                    ]
                ),
                html.Br(),
                html.Span(told(anomaly.notification, say), className="t2 s12"),
            ],
            className="state",
        ),
    ]
    is_chosen = anomaly.id == chosen
    href = "/ui/anomalies?" + urlencode({**wanted, "id": anomaly.id})
    more = aria(current="true") if is_chosen else {}
    return html.Li(dcc.Link(cells, href=href, className="line"), id=f"anomaly-{anomaly.id}", **more)


async def _drawer(reader: Reader, anomaly_id: str, wanted: Mapping[str, str]) -> html.Aside:
    say = reader.say
    anomaly = fact(Anomaly, await reader.api.anomaly(anomaly_id))
    close = dcc.Link(
        icon("close"), href="/ui/anomalies?" + urlencode(wanted), className="btn q ico", title=say("Close")
    )
    device = f"/ui/device/{anomaly.site}/{anomaly.device}?" + urlencode({"anomaly": anomaly.id})
    body = [
        html.P(evidence.sentence(anomaly, say), className="lead"),
        html.P(
            say(
                "Evidence frozen when raised, {time}. Score {score}, limit {limit}.",
                time=say.clock(anomaly.raised_at_ms),
                score=say.number(anomaly.score, 2),
                limit=say.number(1, 2),
            ),
            className="s12 t2",
        ),
        evidence.cause(anomaly, say),
        evidence.picture(anomaly, say),
        evidence.table(anomaly, say, with_share=True),
        evidence.model_line(anomaly, say),
        html.H2(say("Who was told")),
        timeline(anomaly, reader),
        dcc.Link(say("Open {device}", device=anomaly.device), href=device, className="btn p"),
    ]
    head = html.Div(
        [badge(anomaly.severity, state_word(anomaly.severity, say)), html.H2(anomaly.device), close],
        className="row gap",
    )
    return html.Aside(
        [head, *(part for part in body if part is not None)], className="drawer", **aria(label=say("Evidence"))
    )


def timeline(anomaly: Anomaly, reader: Reader) -> html.Ol:
    """What happened to an anomaly, newest first, each message with its receipt."""
    say = reader.say
    events: list[tuple[int, Child]] = [
        (each.sent_at_ms, _sent(each, say)) for each in anomaly.notifications or _only(anomaly)
    ]
    raised: list[Child] = [
        html.B(say("Critical alarm") if anomaly.severity == "critical" else say("Warning alarm")),
        ", ",
        say("score {score}", score=say.number(anomaly.score, 2)),
    ]
    events.append((anomaly.raised_at_ms, [glyph(anomaly.severity), html.Span(raised)]))
    if anomaly.cleared_at_ms:
        events.append((anomaly.cleared_at_ms, [glyph("healthy"), html.Span(html.B(say("Cleared")))]))
    events.sort(key=lambda event: -event[0])
    return html.Ol(
        [html.Li([html.Span(say.when(at, reader.now_ms), className="t3"), *what]) for at, what in events],
        className="timeline",
    )


def _sent(notification: Notification, say: Words) -> list[Child]:
    if notification.delivery == "delivered":
        people = ", ".join(notification.recipients) or channel_word(notification.channel, say)
        receipt: list[Child] = [
            html.Br(),
            html.Span([glyph("healthy"), say("accepted")], className="marked x-ok"),
            " ",
            html.Code(notification.receipt, className="wrap"),
        ]
        return [icon("mail"), html.Span([html.B(say("Told {people}", people=people)), *receipt])]
    if notification.delivery == "failed":
        return [
            glyph("critical"),
            html.Span([html.B(told(notification, say)), html.Br(), html.Code(notification.receipt, className="wrap")]),
        ]
    return [icon("mail"), html.Span(told(notification, say), className="t2")]


def _only(anomaly: Anomaly) -> list[Notification]:
    return [anomaly.notification] if anomaly.notification else []


def _total(anomalies: list[Anomaly], answer: Mapping[str, object], say: Words) -> str:
    if answer.get("next"):
        return say.count("the newest {n}", "the newest {n}", len(anomalies))
    return say.count("{n} anomaly", "{n} anomalies", len(anomalies))


def _older(cursor: object, wanted: Mapping[str, str], say: Words) -> Child:
    if not cursor:
        return None
    href = "/ui/anomalies?" + urlencode({**wanted, "cursor": str(cursor)})
    return html.P(dcc.Link(say("Older"), href=href, className="btn"), className="older")


def _nothing(only_active: bool, say: Words) -> html.Div:
    if only_active:
        back = dcc.Link(say("Show all"), href="/ui/anomalies", className="btn s")
        return empty(say("No active anomalies"), say("Every machine that is judged is within its limit."), back)
    demo = dcc.Link(say("Try the golden path"), href="/ui/golden-path", className="btn s")
    why = say(
        "Nothing has left its normal state since Ronda began to watch. "
        "To see one, let a demonstration machine fall ill."
    )
    return empty(say("No anomalies yet"), why, demo)
