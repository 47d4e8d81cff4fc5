"""One device: every sensor under each other with its anomaly, why Ronda thinks so, who was told, which model."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from dash import Input, Output, State, dcc, html

from dashboard import evidence, sensors
from dashboard.axes import ROW_PX, TOP_PX, Span
from dashboard.caveats import caveat
from dashboard.chart import expectations, figure
from dashboard.desk import Desk, Reader
from dashboard.elements import (
    Attributes,
    Child,
    ago,
    badge,
    card,
    data,
    empty,
    glyph,
    marked,
    origin_word,
    segmented,
    state_word,
    tone,
)
from dashboard.facts import Anomaly, Device, Model, Sensor, Series, fact, facts
from dashboard.guard import guarded
from dashboard.index import Index
from dashboard.language import Words
from dashboard.legend import legend
from dashboard.pages.anomalies import timeline
from dashboard.ranking import state_of

_MINUTE_MS = 60_000
RANGES_MS = {"15m": 15 * _MINUTE_MS, "1h": 60 * _MINUTE_MS, "6h": 360 * _MINUTE_MS, "24h": 1440 * _MINUTE_MS}
_DEFAULT_RANGE = "1h"
# About as many as the chart has pixels; the API keeps each spike when it thins them out.
POINTS = 800
# Of an anomaly that lies further back, this much is shown before it and after it.
_AROUND_MS = 15 * _MINUTE_MS
_ANOMALIES_SHOWN = 20


class View:
    """A device with everything the page says of it."""

    def __init__(self, device: Device, chosen: Anomaly | None, anomalies: Sequence[Anomaly]) -> None:
        self.device = device
        self.chosen = chosen
        self.anomalies = anomalies


async def show(reader: Reader, *, query: Mapping[str, str], site: str, device: str) -> tuple[str, Child]:
    """The page at `/ui/device/{site}/{device}`; `?range=` is a key of RANGES_MS, `?anomaly=` shows an earlier one."""
    view = await _view(reader, site, device, query.get("anomaly"))
    if view is None:
        return device, _unknown(site, device, reader.say)
    span = span_for(query.get("range"), view.chosen, reader.now_ms)
    series = await _series(reader, site, device, span)
    address = {"site": site, "device": device, "anomaly": query.get("anomaly")}
    children = [
        dcc.Store(id="device-address", data=address),
        html.Div(_head(view, reader), id="device-head"),
        html.Div(
            [_chart_card(view, series, span, query, reader), html.Div(_aside(view, reader), id="device-aside")],
            className="device-grid",
        ),
    ]
    return device, children


def register(app: Index, desk: Desk) -> None:
    """The words around the chart follow the alarm; the chart itself is fed by the stream."""

    @app.callback(
        Output("device-head", "children"),
        Output("device-aside", "children"),
        Input("anomaly-pulse", "data"),
        State("device-address", "data"),
        prevent_initial_call=True,
    )
    async def renew(_: int, address: dict[str, str]) -> tuple[Child, Child]:
        reader = desk.reader()

        async def ask(reader: Reader) -> tuple[Child, Child]:
            view = await _view(reader, address["site"], address["device"], address.get("anomaly"))
            if view is None:
                return [], []
            return _head(view, reader), _aside(view, reader)

        told = await guarded(reader, reader.say("The device could not be loaded"), ask)
        return told if isinstance(told, tuple) else (told, [])

    app.in_browser(
        "coloured",
        Output("chart", "figure"),
        Input("chart-figure", "data"),
        Input("scheme", "data"),
    )


def span_for(wanted: str | None, chosen: Anomaly | None, now_ms: int) -> Span:
    """The time to show: the range asked for up to now, else one in which the chosen anomaly can be seen."""
    if wanted in RANGES_MS:
        return Span(now_ms - RANGES_MS[wanted], now_ms)
    if chosen is None or now_ms - chosen.since_ms < RANGES_MS[_DEFAULT_RANGE] - _AROUND_MS:
        return Span(now_ms - RANGES_MS[_DEFAULT_RANGE], now_ms)
    until = min(now_ms, (chosen.cleared_at_ms or chosen.raised_at_ms) + _AROUND_MS)
    return Span(chosen.since_ms - _AROUND_MS, until)


async def _view(reader: Reader, site: str, device: str, anomaly_id: str | None) -> View | None:
    devices, listed = await asyncio.gather(
        reader.api.devices(), reader.api.anomalies(site=site, device=device, limit=_ANOMALIES_SHOWN)
    )
    known = next((each for each in facts(Device, devices) if (each.site, each.device) == (site, device)), None)
    if known is None:
        return None
    anomalies = facts(Anomaly, listed)
    wanted = anomaly_id or (anomalies[0].id if anomalies else None)
    chosen = fact(Anomaly, await reader.api.anomaly(wanted)) if wanted else None
    return View(known, chosen, anomalies)


async def _series(reader: Reader, site: str, device: str, span: Span) -> list[Series]:
    answer = await reader.api.chart(site, device, since=span.since_ms, until=span.until_ms, points=POINTS)
    return facts(Series, {"items": answer["series"]})


def _head(view: View, reader: Reader) -> list[Child]:
    say, device, state = reader.say, view.device, state_of(view.device)
    current = view.chosen if view.chosen and view.chosen.active else None
    words: list[Child] = [state_word(state, say)]
    if current is not None:
        words = [
            say(
                "{state} since {time}, {length}",
                state=state_word(state, say),
                time=say.when(current.since_ms, reader.now_ms),
                length=say.length(reader.now_ms - current.since_ms),
            )
        ]
    seen = (
        say("never seen")
        if device.last_seen_ms is None
        else html.Span(
            [say("seen"), " ", ago(device.last_seen_ms, reader.now_ms, say, f"{device.site}/{device.device}")]
        )
    )
    metrics = device.metrics or []
    facts_ = [
        html.Span(device.site),
        html.Span(say.count("{n} sensor", "{n} sensors", len(metrics))),
        html.Span(seen),
        html.Span(origin_word(device.origin, say)),
    ]
    lead = evidence.sentence(view.chosen, say) if view.chosen else say("No anomaly of this device so far.")
    past: list[Child] = (
        [marked("no_data", say, say("Earlier, cleared:")), " "] if view.chosen and current is None else []
    )
    return [
        html.P(
            [dcc.Link(say("Fleet"), href="/ui/"), html.Span(" › ", className="t3"), device.device],
            className="crumbs s12 t2",
        ),
        html.Div(
            [html.H1(device.device, className="asset"), badge(state, *words), caveat(device, state, say, named=True)],
            className="row gap wrap-row",
        ),
        html.P(facts_, className="dotted s12 t2"),
        html.P([*past, lead], className="lead"),
        evidence.cause(view.chosen, say) if view.chosen else None,
    ]


def _chart_card(view: View, series: Sequence[Series], span: Span, query: Mapping[str, str], reader: Reader) -> html.Div:
    say = reader.say
    shown = [anomaly for anomaly in view.anomalies if _overlaps(anomaly, span)]
    head = [html.H2(say("Sensors")), html.Span(className="grow"), _ranges(query, span, say)]
    if not any(line.values for line in series):
        why = say("Nothing was stored in this time. Choose a longer range, or look whether the device is connected.")
        nothing = html.Div(head, className="card-head")
        return card(nothing, html.Div([html.H2(say("No readings in this range")), html.P(why)], className="pad"))
    expected = expectations([view.chosen]) if view.chosen else {}
    ranked = sorted(series, key=lambda line: -_share(expected.get(line.name)))
    drawn = [view.chosen] if view.chosen and not shown else shown
    picture = figure(ranked, span, drawn, say, site=view.device.site, device=view.device.device)
    labels = html.Div(
        [_label(line, expected.get(line.name), view, say) for line in ranked],
        className="labels",
        style={"paddingTop": TOP_PX},
    )
    graph = dcc.Graph(
        id="chart",
        responsive=True,
        config={"displayModeBar": False, "scrollZoom": False, "doubleClick": "reset", "displaylogo": False},
        style={"height": picture["layout"]["height"]},
    )
    head[1] = legend(picture, drawn, say)
    return card(
        html.Div(head, className="card-head"),
        dcc.Store(id="chart-figure", data=picture),
        html.Div([labels, html.Div(graph, className="graph")], className="chart-rows"),
        className="chart-card",
    )


def _label(line: Series, sensor: Sensor | None, view: View, say: Words) -> html.Div:
    value = next((value for value in reversed(line.values) if value is not None), None)
    device = f"{view.device.site}/{view.device.device}"
    now = say.value(value, line.unit) if value is not None else "–"
    hue = tone(view.chosen.severity) if view.chosen and view.chosen.active else None
    limits: Attributes = {}
    outside = False
    if sensor is not None and hue is not None:
        limits = data(low=str(sensor.expected_low), high=str(sensor.expected_high), tone=hue)
        outside = value is not None and not sensor.expected_low <= value <= sensor.expected_high
    against = say("expected {span}", span=sensors.say_range(sensor, say)) if sensor else ""
    name = sensors.label(line.name, say)
    return html.Div(
        [
            html.Span(name, className="m el", title=name),
            html.B(
                now,
                className=f"value el x-{hue}" if outside else "value el",
                title=line.unit,
                **data(live=device, metric=line.name, unit=line.unit),
                **limits,
            ),
            html.Span(against, className="s11 t2 el", title=against),
        ],
        className="label",
        style={"height": ROW_PX},
    )


def _ranges(query: Mapping[str, str], span: Span, say: Words) -> html.Div:
    length = span.until_ms - span.since_ms
    chosen = next((key for key, shown in RANGES_MS.items() if shown == length), "")
    kept = {"anomaly": query["anomaly"]} if query.get("anomaly") else {}
    words = {"15m": "15 min", "1h": "1 h", "6h": "6 h", "24h": "24 h"}
    return segmented(
        say("Time shown"), [(words[key], "?" + urlencode({**kept, "range": key}), key == chosen) for key in RANGES_MS]
    )


def _aside(view: View, reader: Reader) -> list[Child]:
    say, chosen = reader.say, view.chosen
    parts: list[Child] = []
    if chosen is not None:
        head = html.Div([html.H2(say("Share of the anomaly"))], className="card-head")
        parts.append(card(head, evidence.shares(chosen, say)))
        told = html.Div(html.H2(say("Timeline")), className="card-head")
        asked = html.P(html.Code(chosen.correlation_id, title=say("correlation id")), className="s12 t2 wrap traced")
        parts.append(card(told, timeline(chosen, reader), asked))
    parts.append(card(html.Div(html.H2(say("Model")), className="card-head"), _model(view, reader)))
    return parts


def _model(view: View, reader: Reader) -> Child:
    say = reader.say
    model: Model | None = view.device.model
    if model is None:
        why = say("Ronda learns what is normal from this device's first readings; then it judges. No model yet.")
        return html.P([glyph("learning"), why], className="pad t2")
    pairs: list[Child] = [
        html.Dt(say("Version")),
        html.Dd(say("{name} version {version}", name=model.name, version=model.version)),
        html.Dt(say("Run")),
        html.Dd(html.Code(model.run_id[:12])),
    ]
    if model.trained_through_ms:
        pairs += [html.Dt(say("Trained up to")), html.Dd(say.when(model.trained_through_ms, reader.now_ms))]
    if model.promoted_at_ms:
        pairs += [html.Dt(say("In use since")), html.Dd(say.when(model.promoted_at_ms, reader.now_ms))]
    return html.Dl(pairs, className="pairs pad")


def _share(sensor: Sensor | None) -> float:
    return sensor.share if sensor else 0.0


def _overlaps(anomaly: Anomaly, span: Span) -> bool:
    until: Any = anomaly.cleared_at_ms or span.until_ms
    return anomaly.since_ms <= span.until_ms and until >= span.since_ms


def _unknown(site: str, device: str, say: Words) -> list[Child]:
    why = say("No device {device} has ever sent a reading from {site}, and none was added.", device=device, site=site)
    return [
        html.H1(device, className="page-title"),
        empty(say("Unknown device"), why, dcc.Link(say("Go to the fleet"), href="/ui/", className="btn s")),
    ]
