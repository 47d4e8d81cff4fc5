"""The evidence card: what is wrong, the sensors against what was expected, and the moment itself, frozen as raised."""

from __future__ import annotations

from collections.abc import Sequence

from dash import html

from dashboard import sensors
from dashboard.elements import hidden, spark, tone
from dashboard.facts import Anomaly, Sensor
from dashboard.gaps import broken
from dashboard.language import Words

# More rows than a person compares; the device's page shows every sensor.
SENSORS_SHOWN = 5


def sentence(anomaly: Anomaly, say: Words) -> str:
    """Why Ronda thinks so, in the reader's language, or in whichever it was made."""
    return anomaly.sentence.get(say.language) or next(iter(anomaly.sentence.values()), anomaly.device)


def cause(anomaly: Anomaly, say: Words) -> html.Div | None:
    """What it looks like, with what says so as a caption: beside the evidence, never in its place."""
    looks = anomaly.cause
    if looks is None or not looks.sentence:
        return None
    told = looks.sentence.get(say.language) or next(iter(looks.sentence.values()))
    by = say("Learned from earlier alarms: {source}", source=looks.source)
    if looks.by == "rule":
        by = say("By rule: {source}", source=looks.source)
    return html.Div([html.P(told), html.P(by, className="s12 t3 wrap")], className="cause")


def top_sensor(anomaly: Anomaly) -> Sensor | None:
    """The sensor with the largest share."""
    return max(anomaly.sensors, key=lambda sensor: sensor.share, default=None)


def picture(anomaly: Anomaly, say: Words, className: str = "spark tall") -> html.Span | None:  # noqa: N803  # Dash's
    """The window of the first sensor with its expected range, or None where there is no window."""
    shown = _shown_sensor(anomaly)
    if shown is None or anomaly.window is None:
        return None
    times, values = broken(anomaly.window.measured_at_ms, anomaly.window.series[shown.name])
    shape = {
        "t": times,
        "v": values,
        "low": shown.expected_low,
        "high": shown.expected_high,
        "band": anomaly.since_ms,
        "tone": tone(anomaly.severity),
        "axis": True,
    }
    name = sensors.label(shown.name, say)
    words = say(
        "{sensor}: {seen}, expected {span}",
        sensor=name,
        seen=sensors.seen(shown, say),
        span=sensors.say_range(shown, say),
    )
    return spark(words, shape, className)


def table(anomaly: Anomaly, say: Words, *, with_share: bool = False) -> html.Table:
    """Sensor, seen, expected; a value outside its range stands in the severity's colour."""
    titles = [html.Th(say("Sensor")), html.Th(say("Seen"), className="num"), html.Th(say("Expected"), className="num")]
    head = html.Tr([*titles, html.Th(say("Share"), colSpan=2)] if with_share else titles)
    rows = [_row(sensor, anomaly, say, with_share) for sensor in compared(anomaly)]
    return html.Table([html.Thead(head), html.Tbody(rows)], className="facts")


def compared(anomaly: Anomaly) -> Sequence[Sensor]:
    """The sensors worth comparing: whichever the sentence can name, outside its range first, each by its share."""
    ranked = sorted(anomaly.sensors, key=lambda sensor: (sensor.where == "within", -sensor.share))
    named = sum(sensor.where != "within" for sensor in ranked)
    shown = ranked[: max(SENSORS_SHOWN, named)]
    lead = top_sensor(anomaly)
    return [*shown, lead] if lead and lead not in shown else shown


def shares(anomaly: Anomaly, say: Words) -> html.Ul:
    """Each sensor's share of the anomaly as a bar, largest first."""
    return html.Ul([_share(sensor, anomaly, say) for sensor in _by_share(anomaly)], className="shares")


def model_line(anomaly: Anomaly, say: Words) -> html.P:
    """Which model judged, and the id to ask about."""
    return html.P(
        [
            say("Model {name} version {version}", name=anomaly.model.name, version=anomaly.model.version),
            ", ",
            say("run"),
            " ",
            html.Code(anomaly.model.run_id[:8]),
            ", ",
            say("id"),
            " ",
            html.Code(anomaly.correlation_id),
        ],
        className="s12 t3 wrap",
    )


def _shown_sensor(anomaly: Anomaly) -> Sensor | None:
    series = anomaly.window.series if anomaly.window else {}
    return next((sensor for sensor in _by_share(anomaly) if sensor.name in series), None)


def _by_share(anomaly: Anomaly) -> Sequence[Sensor]:
    return sorted(anomaly.sensors, key=lambda sensor: -sensor.share)


def _row(sensor: Sensor, anomaly: Anomaly, say: Words, with_share: bool) -> html.Tr:
    outside = f"x-{tone(anomaly.severity)} b" if sensor.where != "within" else ""
    return html.Tr(
        [
            html.Th(sensors.label(sensor.name, say), scope="row"),
            html.Td(sensors.seen(sensor, say), className=f"num el {outside}".strip(), title=sensor.unit),
            html.Td(sensors.against(sensor, say), className="num t2"),
            *(
                [html.Td(_bar(sensor, anomaly), className="bar"), html.Td(say.percent(sensor.share), className="num")]
                if with_share
                else []
            ),
        ]
    )


def _share(sensor: Sensor, anomaly: Anomaly, say: Words) -> html.Li:
    return html.Li(
        [
            html.Span(sensors.label(sensor.name, say), className="wrap"),
            _bar(sensor, anomaly),
            html.Span(say.percent(sensor.share), className="num m"),
        ]
    )


def _bar(sensor: Sensor, anomaly: Anomaly) -> html.Span:
    """The share as a length; in the severity's hue where the sensor left its range."""
    hue = tone(anomaly.severity) if sensor.where != "within" else "none"
    fill = html.Span(className=f"fill f-{hue}", style={"width": f"{sensor.share * 100:.1f}%"})
    return html.Span(fill, className="track", **hidden())
