"""Each hop in words: a station's name, what it did, and under what it stands on the way."""

from __future__ import annotations

from dashboard.elements import Child
from dashboard.evidence import top_sensor
from dashboard.facts import Step, Trace
from dashboard.language import Words
from dashboard.sensors import label
from dashboard.story import (
    ACQUISITION,
    BROKER,
    DETECTION,
    DEVICE,
    HISTORIAN,
    MAIL,
    NOTIFICATION,
    VALIDATION,
    WEBHOOK,
    Station,
)
from dashboard.tellings import reason_word


def station_word(name: str, say: Words) -> str:
    """What a station is called."""
    words = {
        DEVICE: say("Device"),
        BROKER: say("MQTT broker"),
        ACQUISITION: say("Acquisition"),
        VALIDATION: say("Validation"),
        HISTORIAN: say("Historian"),
        DETECTION: say("Detection"),
        NOTIFICATION: say("Notification"),
        MAIL: say("E-mail"),
        WEBHOOK: say("Webhook"),
    }
    return words.get(name, name)


def carries(name: str, say: Words) -> str:
    """What travels to this station, as its topic or protocol is called."""
    topics = {
        BROKER: "telemetry",
        ACQUISITION: "telemetry",
        VALIDATION: "ingested",
        DETECTION: "validated",
        NOTIFICATION: "anomaly",
        MAIL: "SMTP",
        WEBHOOK: "HTTPS",
    }
    return topics.get(name, say("reading"))


def station_line(station: Station, trace: Trace, say: Words) -> str:
    """The small line under a station."""
    if station.state == "waiting":
        return say("waiting")
    if station.state == "running":
        return say("running")
    if station.state == "failed":
        return say("did not answer") if station.step is None else _refused(station.step, say)
    model = trace.anomalies[0].model.version if trace.anomalies else ""
    lines = {
        DEVICE: trace.device or say("simulated"),
        BROKER: "MQTT",
        NOTIFICATION: _reason(station, say),
        DETECTION: say("model version {version}", version=model) if model else say("agent"),
        MAIL: say("receipt {code}", code=_receipt(trace)[:3]),
        WEBHOOK: say("receipt {code}", code=_receipt(trace)[:3]),
    }
    return lines.get(station.name, say("agent"))


def deed(step: Step, trace: Trace, say: Words) -> Child:
    """What happened at a hop, in one sentence."""
    n = step.readings
    if step.did in ("failed", "rejected"):
        return say(
            "could not: {reason}", reason=str(step.detail.get("receipt") or step.detail.get("reason") or step.did)
        )
    sentences = {
        "measured": lambda: say.count("measured {n} reading", "measured {n} readings", n),
        "received": lambda: say.count("received {n} reading", "received {n} readings", n),
        "published": lambda: say.count("published {n} ordinary reading", "published {n} ordinary readings", n),
        "accepted": lambda: say("accepted it with QoS 1, on the device's own topic"),
        "decoded": lambda: say.count(
            "decoded {n} reading and gave it the correlation id",
            "decoded {n} readings and gave them the correlation id",
            n,
        ),
        "validated": lambda: (
            say.count("{n} reading can be true; none in quarantine", "{n} readings can be true; none in quarantine", n)
            if not trace.rejected
            else say.count("{n} reading can be true", "{n} readings can be true", n)
        ),
        "stored": lambda: say.count("stored {n} reading", "stored {n} readings", n),
        "scored": lambda: say.count("scored {n} reading", "scored {n} readings", n),
        "raised": lambda: _raised(trace, say),
        "decided": lambda: say("decided: {reason}", reason=reason_word(str(step.detail.get("reason", "")), say)),
        "delivered": lambda: say("the other side accepted: {receipt}", receipt=_receipt(trace)),
    }
    return sentences.get(step.did, lambda: step.did.replace("_", " "))()


def _refused(step: Step, say: Words) -> str:
    """The code that the other side refused with; its whole word stands in the banner."""
    code = str(step.detail.get("receipt", "")).split(" ")[0]
    return say("refused, {code}", code=code) if code else say("failed")


def _reason(station: Station, say: Words) -> str:
    reason = station.step.detail.get("reason") if station.step else None
    return reason_word(str(reason), say) if reason else say("agent")


def _raised(trace: Trace, say: Words) -> str:
    if not trace.anomalies:
        return say("detected an anomaly")
    anomaly = trace.anomalies[-1]
    score = say("score {score}, limit {limit}", score=say.number(anomaly.score, 2), limit=say.number(1, 2))
    sensor = top_sensor(anomaly)
    if sensor is None:
        return score
    share = say("{share} comes from: {sensor}", share=say.percent(sensor.share), sensor=label(sensor.name, say))
    return f"{score}; {share}"


def _receipt(trace: Trace) -> str:
    return next((each.receipt for each in trace.notifications if each.delivery == "delivered"), "")
