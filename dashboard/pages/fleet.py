"""The fleet: every device by its state, what needs attention first, with what it measures right now."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from dash import Input, Output, State, dcc, html

from contract.errors import TransientError
from dashboard import sensors
from dashboard.caveats import caveat
from dashboard.desk import Desk, Reader
from dashboard.elements import Attributes, Child, ago, badge, card, data, empty, glyph, marked, spark, state_word, tone
from dashboard.evidence import sentence, top_sensor
from dashboard.facts import Anomaly, Device, Series, facts
from dashboard.gaps import broken
from dashboard.guard import guarded
from dashboard.index import Index
from dashboard.language import Words
from dashboard.ranking import ORDER, reporting, state_of, worst_first
from ronda.client import ApiError

_ATTENTION = ("critical", "warning")
_NOT_JUDGED = ("no_data", "off", "learning", "resting")
# A state that no event announces (learning done, gone silent) is at most this old on the page.
_REFRESH_MS = 15_000
# The small lines show this much, in as many points as they have pixels.
_LINE_MS = 10 * 60 * 1000
_LINE_POINTS = 84
# More cards than this nobody compares at once, and each asks the store once; the tiles narrow it down.
MAX_CARDS = 48


class Tile(NamedTuple):
    """One device with what its card shows."""

    device: Device
    state: str
    anomaly: Anomaly | None
    series: Mapping[str, Series]


async def show(reader: Reader, *, query: Mapping[str, str]) -> tuple[str, Child]:
    """The page at `/ui/`; `?state=` narrows it to one state."""
    wanted = query.get("state", "")
    return reader.say("Fleet"), [
        dcc.Store(id="fleet-state", data=wanted),
        dcc.Interval(id="fleet-tick", interval=_REFRESH_MS),
        html.Div(await _content(reader, wanted), id="fleet"),
    ]


def register(app: Index, desk: Desk) -> None:
    """The page renews itself when an alarm changes, and every few seconds."""

    @app.callback(
        Output("fleet", "children"),
        Input("anomaly-pulse", "data"),
        Input("fleet-tick", "n_intervals"),
        State("fleet-state", "data"),
        prevent_initial_call=True,
    )
    async def renew(_: int, __: int | None, wanted: str) -> Child:
        reader = desk.reader()

        async def ask(reader: Reader) -> Child:
            return await _content(reader, wanted)

        return await guarded(reader, reader.say("The fleet could not be loaded"), ask)


async def _content(reader: Reader, wanted: str) -> list[Child]:
    devices = facts(Device, await reader.api.devices())
    if not devices:
        return [_heading(devices, reader), _nobody(reader.say)]
    # A demonstration machine at rest is shown to those who ask for it: there are a dozen, and nobody waits for them.
    chosen = [device for device in devices if state_of(device) == wanted or not (wanted or _rests(device))]
    tiles = await _tiles(reader, chosen)
    groups = [
        _group(reader.say("Needs attention"), "", [t for t in tiles if t.state in _ATTENTION], "wide", reader),
        _group(
            reader.say("Not judged right now"),
            reader.say("no data, off, learning or resting: Ronda cannot vouch for these"),
            [t for t in tiles if t.state in _NOT_JUDGED],
            "small",
            reader,
        ),
        _group(reader.say("Healthy"), "", [t for t in tiles if t.state == "healthy"], "small", reader),
    ]
    hidden = len(chosen) - len(tiles)
    more = (
        [
            html.P(
                reader.say.count(
                    "{n} more device is not shown; choose a state above.",
                    "{n} more devices are not shown; choose a state above.",
                    hidden,
                ),
                className="t3",
            )
        ]
        if hidden > 0
        else []
    )
    nothing = [] if tiles else [_none_in_state(wanted, reader.say)]
    return [_heading(devices, reader), _summary(devices, wanted, reader), *groups, *more, *nothing]


async def _tiles(reader: Reader, devices: Sequence[Device]) -> list[Tile]:
    alarms = facts(Anomaly, await reader.api.anomalies(phase="active", limit=200))
    by_device = {(alarm.site, alarm.device): alarm for alarm in reversed(alarms)}
    ranked = worst_first(devices, by_device)[:MAX_CARDS]
    return list(await asyncio.gather(*(_tile(reader, device, by_device) for device in ranked)))


async def _tile(reader: Reader, device: Device, alarms: Mapping[tuple[str, str], Anomaly]) -> Tile:
    anomaly = alarms.get((device.site, device.device))
    series: Iterable[Series] = ()
    if device.last_seen_ms is not None:
        since = min(reader.now_ms, device.last_seen_ms) - _LINE_MS
        try:
            answer = await reader.api.chart(device.site, device.device, since=since, points=_LINE_POINTS)
            series = facts(Series, {"items": answer["series"]})
        except (ApiError, TransientError):
            series = ()  # a card without its line still says the state
    return Tile(device, state_of(device), anomaly, {each.name: each for each in series})


def _rests(device: Device) -> bool:
    return state_of(device) == "resting"


def _heading(devices: Sequence[Device], reader: Reader) -> html.Div:
    say = reader.say
    told = say.count(
        "{n} device, {reporting} reporting",
        "{n} devices, {reporting} reporting",
        len(devices),
        reporting=say.number(reporting(devices, reader.now_ms)),
    )
    return html.Div([html.H1(say("Fleet")), html.Span(told, className="t3")], className="page-title")


def _summary(devices: Sequence[Device], wanted: str, reader: Reader) -> html.Div:
    return html.Div([_state_tile(state, devices, wanted, reader.say) for state in ORDER], className="tiles")


def _state_tile(state: str, devices: Sequence[Device], wanted: str, say: Words) -> dcc.Link:
    count = sum(state_of(device) == state for device in devices)
    chosen = wanted == state
    href = "/ui/" if chosen else f"/ui/?state={state}"
    number = html.Span(say.number(count), className="big" if count else "big t3")
    return dcc.Link([marked(state, say), number], href=href, className="card tile on" if chosen else "card tile")


def _group(title: str, hint: str, tiles: Sequence[Tile], size: str, reader: Reader) -> html.Section | None:
    if not tiles:
        return None
    head = html.H2(
        [
            title,
            " ",
            html.Span(reader.say.number(len(tiles)), className="t3 m"),
            " ",
            html.Span(hint, className="t3 s12 r"),
        ],
        className="sec",
    )
    make = _attention if size == "wide" else _small
    return html.Section([head, html.Div([make(tile, reader) for tile in tiles], className=f"cards {size}")])


def _attention(tile: Tile, reader: Reader) -> dcc.Link:
    say, device, anomaly = reader.say, tile.device, tile.anomaly
    head = html.Div(
        [
            html.Span(device.device, className="name el", title=device.device),
            html.Span(device.site, className="t3 s12 grow el", title=device.site),
            badge(tile.state, state_word(tile.state, say)),
        ],
        className="row",
    )
    if anomaly is None:
        return _link(device, [head], f"attention e-{tone(tile.state)}")
    foot = html.Div(
        [
            html.Span([say("Score"), " ", html.B(say.number(anomaly.score, 2))]),
            html.Span(
                [
                    say("Since"),
                    " ",
                    html.B(say.when(anomaly.since_ms, reader.now_ms)),
                    " ",
                    say.length(reader.now_ms - anomaly.since_ms),
                ],
                className="grow",
            ),
            _seen(device, reader),
        ],
        className="row foot-row s12 t2",
    )
    body = html.P(sentence(anomaly, say), className="sentence")
    return _link(device, [head, body, _evidence_row(tile, anomaly, reader), foot], f"attention e-{tone(tile.state)}")


def _evidence_row(tile: Tile, anomaly: Anomaly, reader: Reader) -> html.Div | None:
    sensor, say = top_sensor(anomaly), reader.say
    if sensor is None:
        return None
    name = sensors.label(sensor.name, say)
    line = tile.series.get(sensor.name)
    now = _last(line) if line else None
    shown = say.value(now, sensor.unit) if now is not None else sensors.seen(sensor, say)
    facts_ = html.Div(
        [
            html.Span(name, className="s12 t2 el", title=name),
            html.B(shown, className="el", title=sensor.unit, **_live(tile.device, sensor.name, sensor.unit)),
            html.Span(say("expected {span}", span=sensors.say_range(sensor, say)), className="s12 t2 el"),
        ],
        className="col values",
    )
    return html.Div([_line(line, name, anomaly), facts_], className="row gap")


def _line(line: Series | None, name: str, anomaly: Anomaly) -> html.Span | None:
    if line is None:
        return None
    sensor = top_sensor(anomaly)
    times, values = broken(line.measured_at_ms, line.values)
    shape = {
        "t": times,
        "v": values,
        "low": sensor.expected_low if sensor else None,
        "high": sensor.expected_high if sensor else None,
        "band": anomaly.since_ms,
        "tone": tone(anomaly.severity),
    }
    return spark(name, shape, "spark grow")


def _small(tile: Tile, reader: Reader) -> dcc.Link:
    say, device = reader.say, tile.device
    line = next(iter(tile.series.values()), None)
    value = _last(line) if line else None
    name = html.Span(device.device, className="m el", title=device.device)
    left = html.Div([name, marked(tile.state, say), caveat(tile.device, tile.state, say)], className="col grow")
    middle = _small_line(line, say) if line and value is not None else None
    number: Child = "–"
    if line and value is not None and tile.state != "no_data":
        number = html.B(
            say.value(value, line.unit), className="el", title=line.unit, **_live(device, line.name, line.unit)
        )
    right = html.Div([number, html.Span(_seen(device, reader), className="s12 t3")], className="col end")
    return _link(device, [html.Div([left, middle, right], className="row gap")], "small-card")


def _small_line(line: Series, say: Words) -> html.Span:
    times, values = broken(line.measured_at_ms, line.values)
    return spark(sensors.label(line.name, say), {"t": times, "v": values})


def _seen(device: Device, reader: Reader) -> Child:
    if device.last_seen_ms is None:
        return reader.say("never seen")
    return ago(device.last_seen_ms, reader.now_ms, reader.say, f"{device.site}/{device.device}")


def _live(device: Device, metric: str, unit: str) -> Attributes:
    return data(live=f"{device.site}/{device.device}", metric=metric, unit=unit)


def _last(line: Series) -> float | None:
    return next((value for value in reversed(line.values) if value is not None), None)


def _link(device: Device, children: Sequence[Child | None], look: str) -> dcc.Link:
    href = f"/ui/device/{device.site}/{device.device}"
    return dcc.Link([child for child in children if child is not None], href=href, className=f"card {look}")


def _nobody(say: Words) -> html.Div:
    why = say("Devices appear here with their first reading. Start the emulated fleet, or add a device of your own:")
    return empty(say("No devices yet"), why, html.Code("ronda device add plant-1/pump-07"))


def _none_in_state(state: str, say: Words) -> html.Div:
    back = dcc.Link(say("Show all devices"), href="/ui/", className="btn s")
    return card(
        html.H2([glyph(state), say("No device is in this state: {state}", state=state_word(state, say))]),
        html.P(say("The others are hidden by your choice above.")),
        back,
        className="note",
    )
