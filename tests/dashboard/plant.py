"""A small plant that lives in memory and answers as the API does: what the pages are tried on."""

from __future__ import annotations

import math
from typing import Any

from ronda.client import ApiError

Json = dict[str, Any]

# 22 Nov 2025, 15:04:11 in São Paulo: a Saturday afternoon, so that "today" is unambiguous in every zone used here.
NOW_MS = 1_763_834_651_000
SITE = "plant-1"
METRICS = [
    {"name": "vibration_de_rms_g", "unit": "g", "low": 0.0, "high": 16.0},
    {"name": "motor_temperature_c", "unit": "°C", "low": -50.0, "high": 200.0},
    {"name": "current_a", "unit": "A", "low": 0.0, "high": 20.0},
    {"name": "pressure_bar", "unit": "bar", "low": -1.0, "high": 16.0},
    {"name": "flow_lpm", "unit": "l/min", "low": 0.0, "high": 400.0},
]
LEVELS = {
    "vibration_de_rms_g": 0.215,
    "motor_temperature_c": 58.2,
    "current_a": 11.6,
    "pressure_bar": 4.19,
    "flow_lpm": 117.0,
}
WIDTHS = {
    "vibration_de_rms_g": 0.025,
    "motor_temperature_c": 1.2,
    "current_a": 0.35,
    "pressure_bar": 0.12,
    "flow_lpm": 3.0,
}
MODEL = {
    "name": "plant-1.pump-07",
    "version": "14",
    "run_id": "4e1c9ab2f0d94c11",
    "trained_through_ms": NOW_MS - 7_200_000,
    "promoted_at_ms": NOW_MS - 7_100_000,
}
RECEIPT = "250 2.0.0 Ok: queued as 9A40E1B7"
SENTENCE = {
    "en": "Vibration at the drive end is 0.52 g, 2.4 times what pump-07 shows when healthy.",
    "pt": "A vibração do lado acoplado está em 0,52 g, 2,4 vezes o que a pump-07 mostra quando saudável.",
}
CAUSE = {
    "fault": "mechanical",
    "by": "rule",
    "candidates": ["imbalance", "misalignment"],
    "sentence": {
        "en": "It looks mechanical, not load: imbalance or misalignment.",
        "pt": "Parece mecânico, não de carga: desbalanceamento ou desalinhamento.",
    },
    "source": "ISO 13373-3:2015, guidelines for vibration diagnosis",
}
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="


def device(name: str, state: str = "healthy", **more: Any) -> Json:
    """One entry of `/api/v1/devices`."""
    model = None if state == "learning" else {**MODEL, "name": f"{SITE}.{name}"}
    told = {
        "site": SITE,
        "device": name,
        "origin": "emulator",
        "state": state,
        "last_seen_ms": NOW_MS - 800,
        "metrics": METRICS,
        "model": model,
        "anomaly_id": None,
        "created_at_ms": NOW_MS - 9_000_000,
    }
    return told | more


def sensor(name: str, share: float, seen: float | None = None) -> Json:
    """One sensor of an anomaly's evidence."""
    level, width = LEVELS[name], WIDTHS[name]
    unit = next(metric["unit"] for metric in METRICS if metric["name"] == name)
    return {
        "name": name,
        "unit": unit,
        "share": share,
        "seen": level if seen is None else seen,
        "expected": level,
        "expected_low": level - width,
        "expected_high": level + width,
    }


def notification(delivery: str = "delivered", **more: Any) -> Json:
    """A receipt."""
    told = {
        "id": "n1",
        "anomaly_id": "a1",
        "site": SITE,
        "device": "pump-07",
        "decision": "first",
        "channel": "mail",
        "delivery": delivery,
        "receipt": RECEIPT,
        "recipients": ["manutencao@plant-1.example"],
        "message_id": "<1@ronda>",
        "suppressed": 0,
        "correlation_id": "9f2c-88342",
        "sent_at_ms": NOW_MS + 518,
    }
    return told | more


def anomaly(number: int = 1, severity: str = "critical", **more: Any) -> Json:
    """One anomaly with everything that belongs to it."""
    since = NOW_MS - 240_000
    times = [since - 360_000 + 6_000 * i for i in range(100)]
    series = [wave("vibration_de_rms_g", at, since) for at in times]
    told = {
        "id": f"a{number}",
        "site": SITE,
        "device": "pump-07",
        "phase": "raised",
        "active": True,
        "severity": severity,
        "score": 2.38,
        "peak_score": 2.41,
        "since_ms": since,
        "raised_at_ms": since + 10_000,
        "detected_at_ms": since + 10_020,
        "cleared_at_ms": None,
        "correlation_id": "9f2c-88342",
        "sensors": [
            sensor("vibration_de_rms_g", 0.58, 0.52),
            sensor("motor_temperature_c", 0.27, 67.1),
            sensor("current_a", 0.08, 12.4),
            sensor("pressure_bar", 0.04),
            sensor("flow_lpm", 0.03),
        ],
        "sentence": SENTENCE,
        "cause": CAUSE,
        "model": MODEL,
        "notification": notification(),
        "notifications": [notification(sent_at_ms=since + 11_000)],
        "window": {"measured_at_ms": times, "series": {"vibration_de_rms_g": series}},
    }
    return told | more


def wave(metric: str, at_ms: int, ill_since_ms: int | None = None) -> float:
    """A healthy value with a little movement; the vibration rises once the machine is ill."""
    level, width = LEVELS[metric], WIDTHS[metric]
    value = level + width * (0.45 * math.sin(at_ms / 17_000) + 0.3 * math.sin(at_ms / 5_300))
    if ill_since_ms is not None and at_ms > ill_since_ms and metric in ("vibration_de_rms_g", "motor_temperature_c"):
        value += width * 12 * (1 - math.exp(-(at_ms - ill_since_ms) / 60_000))
    return round(value, 4)


def step(station: str, did: str, after_ms: float, readings: int = 60, **detail: Any) -> Json:
    """A hop of the golden path."""
    return {"station": station, "did": did, "at_ms": NOW_MS + 120 + after_ms, "readings": readings, "detail": detail}


WHOLE_WAY = [
    step("device", "published", 0),
    step("broker", "accepted", 3),
    step("acquisition", "decoded", 5),
    step("validation", "validated", 6),
    step("historian", "stored", 9),
    step("anomaly-detection", "scored", 10),
    step("anomaly-detection", "raised", 10.4, 1),
    step("notification", "decided", 12, 1, reason="first"),
    step("mail", "delivered", 398, 1, receipt=RECEIPT),
]


class Plant:
    """Answers as the API; a test changes what it holds, and `calls` remembers what was asked."""

    def __init__(self) -> None:
        self.now_ms = NOW_MS
        self.calls: list[tuple[str, Any]] = []
        self.refuses: ApiError | None = None
        self.units: str | None = None
        self.known = [
            device("pump-07", "critical", anomaly_id="a1"),
            device("compressor-02", "warning", anomaly_id="a2"),
            device("pump-03"),
            device("mixer-01"),
            device("fan-03"),
            device("mixer-09", "learning"),
            device("conveyor-04", "no_data", last_seen_ms=NOW_MS - 10_800_000),
            device("demo-1", origin="demo", last_seen_ms=NOW_MS - 60_000),
        ]
        quiet = [notification("suppressed", decision="cooldown", receipt="", recipients=[])]
        self.listed = [
            anomaly(),
            anomaly(
                2,
                "warning",
                device="compressor-02",
                score=1.21,
                notification=quiet[0],
                notifications=quiet,
                sensors=[sensor("motor_temperature_c", 0.71, 61.3), sensor("current_a", 0.29)],
                sentence={
                    "en": "Motor temperature is 61.3 °C, 1.9 °C above expected; the current is normal.",
                    "pt": "A temperatura do motor é 61,3 °C, 1,9 °C acima do esperado; a corrente é normal.",
                },
                since_ms=NOW_MS - 9_480_000,
                raised_at_ms=NOW_MS - 9_470_000,
            ),
            anomaly(
                3,
                "warning",
                device="pump-03",
                phase="cleared",
                active=False,
                since_ms=NOW_MS - 86_400_000,
                raised_at_ms=NOW_MS - 86_390_000,
                cleared_at_ms=NOW_MS - 83_000_000,
                score=1.3,
            ),
        ]
        self.story: Json = {}
        self.posted = [self.letter()]

    def letter(self) -> Json:
        """The mail of the first anomaly."""
        html = (
            "<html><body style='font-family:sans-serif'><h2>pump-07</h2><p>Vibration 2.4 times normal</p>"
            f"<img src='data:image/png;base64,{PICTURE}' alt='chart' width='40' height='40'>"
            "<a href='https://elsewhere.example/'>open</a><script>parent.hacked=1</script></body></html>"
        )
        return {
            "id": "m1",
            "received_at_ms": NOW_MS + 518,
            "sender": "ronda@localhost",
            "to": "manutencao@plant-1.example",
            "subject": "▲ Critical: pump-07, vibration 2.4 times normal",
            "correlation_id": "9f2c-88342",
            "headers": {},
            "text": "pump-07: vibration 2.4 times normal",
            "html": html,
        }

    def tell_story(self, steps: list[Json], **more: Any) -> None:
        """What the trace says from now on."""
        self.story = {
            "correlation_id": "9f2c-88342",
            "site": SITE,
            "device": "demo-1",
            "traced": True,
            "readings": 60,
            "steps": steps,
            "anomalies": [],
            "notifications": [],
            "rejected": [],
        } | more

    def _note(self, call: str, what: Any = None) -> None:
        self.calls.append((call, what))
        if self.refuses is not None:
            raise self.refuses

    async def whoami(self) -> Json:
        return {"subject": "ana.ribeiro", "scopes": ["data:read"], "devices": ["*"], "expires_at_ms": NOW_MS}

    async def devices(self) -> Json:
        self._note("devices")
        return {"items": self.known}

    async def ledger(self) -> Json:
        return {
            "items": [
                {
                    "site": SITE,
                    "device": "pump-07",
                    "counted": True,
                    "sent": 8_412_077,
                    "stored": 8_412_070,
                    "rejected": 3,
                    "pending": 4,
                    "lost": 0,
                }
            ]
        }

    async def anomalies(self, *, site=None, device=None, phase=None, limit=None, cursor=None) -> Json:
        self._note("anomalies", cursor)
        items = [
            each
            for each in self.listed
            if (phase != "active" or each["active"]) and (device is None or each["device"] == device)
        ]
        return {"items": items, "next": None}

    async def anomaly(self, anomaly_id: str) -> Json:
        self._note("anomaly", anomaly_id)
        found = next((each for each in self.listed if each["id"] == anomaly_id), None)
        if found is None:
            raise ApiError(404, {"detail": f"no anomaly {anomaly_id}", "reason": "not_found", "request_id": "r-404"})
        return found

    async def chart(self, site, device, *, since=None, until=None, points=2000) -> Json:
        self._note("chart", (site, device, since, until, points))
        until = until or self.now_ms
        ill = next((each["since_ms"] for each in self.listed if each["device"] == device and each["active"]), None)
        times = [int(since + (until - since) * i / (points - 1)) for i in range(points)]
        series = [
            {
                "name": each["name"],
                "unit": self.units or each["unit"],
                "measured_at_ms": times,
                "values": [wave(each["name"], at, ill) for at in times],
            }
            for each in METRICS
        ]
        return {"site": site, "device": device, "rows": points, "series": series}

    async def simulate(self, fault: str | None = None) -> Json:
        self._note("simulate", fault)
        return {"correlation_id": "9f2c-88342", "site": SITE, "device": "demo-1", "fault": fault}

    async def trace(self, correlation_id: str) -> Json:
        self._note("trace", correlation_id)
        if not self.story:
            raise ApiError(404, {"detail": "nothing yet", "reason": "not_found"})
        return self.story

    async def mails(self, limit: int | None = None) -> Json:
        return {"items": self.posted}

    async def mail(self, mail_id: str) -> Json:
        return next(each for each in self.posted if each["id"] == mail_id)
