"""A device that has not been heard for longer than it ever keeps quiet: pure decisions on what arrived, and when.

How long a device may be quiet is learned from its own past: ten times its usual pause, and any pause that it made
three times, since what happened three times is a habit and an outage is not. Counted is only the time in which we could
hear. Of a device whose connection broke the broker says so, and then nothing but such a habit excuses it. A whole site
that falls silent is told once.
"""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from contract.events import AlarmKind, AnomalyDetectedEvent, Evidence, ModelRef, Phase, Severity, Window
from contract.identity import digest_id, reading_id

Key = tuple[str, str]

# One message in ten may be late or lost on a bad line; ten in a row are not.
_TIMES_USUAL = 10
# A connection is made again within seconds, and a chain that restarts takes as long.
_LEAST_MS = 30_000
# A lost connection is said by the broker, 1.5 keep-alives late already; a device that only changes its network is back.
_AFTER_OFFLINE_MS = 10_000
# A pause that was made this often is a habit.
_A_HABIT = 3
# So many messages show how a device speaks.
_ARRIVALS = 20
# After this long without a word before we began to listen, nobody waits for it any more.
_GIVEN_UP_MS = 7 * 24 * 60 * 60 * 1000
# Who spoke within this before another one fell silent was speaking at the time.
_TOGETHER_MS = 60_000
# Said once more after this, since a message about the same device may have held back the first word.
AGAIN_MS = 15 * 60 * 1000

# The question that the alarm of a whole site answers.
SITE_QUESTION = "silent_site"
_MODEL = ModelRef(name="ronda.cadence", version="1", run_id="", sha256="")


class Habit(NamedTuple):
    """How a device speaks: its usual pause, and the longest that it made three times."""

    usual_ms: int
    longest_ms: int

    @property
    def allowed_ms(self) -> int:
        """For how long it may be quiet."""
        return max(_LEAST_MS, _TIMES_USUAL * self.usual_ms, self.longest_ms + self.longest_ms // 2)

    @property
    def excused_ms(self) -> int:
        """For how long it may be away after it said, or the broker said for it, that it goes."""
        return max(_AFTER_OFFLINE_MS, self.longest_ms + self.longest_ms // 2 if self.longest_ms > _LEAST_MS else 0)


class Heard(NamedTuple):
    """The last that was heard of a device: its reading, and when that arrived."""

    received_at_ms: int
    measured_at_ms: int
    boot: str
    seq: int


class Device(NamedTuple):
    """A device that is listened for; `offline`: the last word on its status is that it went."""

    heard: Heard
    habit: Habit
    offline: bool = False


class Quiet(enum.StrEnum):
    """Why a device is or is not told of."""

    SPEAKING = "speaking"
    GIVEN_UP = "given up"
    OFFLINE = "offline"
    OVERDUE = "overdue"


def habit_of(arrivals_ms: Iterable[int], pauses_ms: Sequence[int] = ()) -> Habit | None:
    """What the times of a device's messages say; None: too few. `pauses_ms`: further ones, of the weeks before."""
    times = np.unique(np.fromiter(arrivals_ms, dtype=np.int64))
    if times.size < _ARRIVALS:
        return None
    gaps = np.diff(times)
    longest = np.sort(np.concatenate((gaps, np.asarray(pauses_ms, dtype=np.int64))))[-_A_HABIT]
    return Habit(int(np.median(gaps)), int(longest))


def quiet(device: Device, now_ms: int, hearing_since_ms: int) -> Quiet:
    """How a device is at `now_ms`, having been able to hear it since `hearing_since_ms`."""
    last = device.heard.received_at_ms
    if hearing_since_ms - last > max(_GIVEN_UP_MS, 3 * device.habit.allowed_ms):
        return Quiet.GIVEN_UP
    silent_ms = now_ms - max(last, hearing_since_ms)
    if device.offline and silent_ms >= device.habit.excused_ms:
        return Quiet.OFFLINE
    return Quiet.OVERDUE if silent_ms >= device.habit.allowed_ms else Quiet.SPEAKING


class Silent(NamedTuple):
    """To be told of: a device, or its whole site (`devices`: how many), with the last that was heard of it."""

    site: str
    device: str
    heard: Heard
    why: Quiet
    devices: int = 1


def silent(devices: Mapping[Key, Device], now_ms: int, hearing_since_ms: Mapping[str, int]) -> list[Silent]:
    """Who of one or several sites is to be told of now; `devices` has nobody who was told of already.

    `hearing_since_ms`: by site, since when its devices can be heard.
    """
    found: list[Silent] = []
    by_site: dict[str, dict[Key, Device]] = {}
    for key, device in devices.items():
        by_site.setdefault(key[0], {})[key] = device
    for site, there in sorted(by_site.items()):
        states = {key: quiet(device, now_ms, hearing_since_ms[site]) for key, device in there.items()}
        gone: dict[Key, Quiet] = {
            key: state for key, state in states.items() if state in {Quiet.OFFLINE, Quiet.OVERDUE}
        }
        heard = {key: device for key, device in there.items() if states[key] is not Quiet.GIVEN_UP}
        found += _of_a_site(site, heard, gone)
    return found


def _of_a_site(site: str, there: Mapping[Key, Device], gone: dict[Key, Quiet]) -> list[Silent]:
    """Those that went alone; those that went together as one, once each of them is missed."""
    found: list[Silent] = []
    while gone:
        key = min(gone, key=lambda each: (there[each].heard.received_at_ms, each))
        group = {key} | {other for other in there if other != key and _was_speaking(there[other], there[key])}
        away = {each for each in group if each in gone}
        if len(group) == 1 or any(_was_heard_after(there[other], there[key]) for other in group - {key}):
            found.append(Silent(site, key[1], there[key].heard, gone[key]))
            away = {key}
        elif away == group:
            found.append(Silent(site, key[1], there[key].heard, gone[key], len(group)))
        for each in away:
            del gone[each]
    return found


def _was_speaking(other: Device, one: Device) -> bool:
    """Did `other` speak at the time at which `one` fell silent, or does it since?"""
    within = max(_TOGETHER_MS, 3 * other.habit.usual_ms)
    return other.heard.received_at_ms >= one.heard.received_at_ms - within


def _was_heard_after(other: Device, one: Device) -> bool:
    """Was it alone? Where the broker says so of one and not of the other, that is seen sooner."""
    apart_ms = _AFTER_OFFLINE_MS if one.offline and not other.offline else max(_LEAST_MS, 2 * one.habit.usual_ms)
    return other.heard.received_at_ms > one.heard.received_at_ms + apart_ms


def raised(about: Silent, habit: Habit, now_ms: int) -> AnomalyDetectedEvent:
    """The alarm, in the device's own time; the same silence found again is the same alarm."""
    heard = about.heard
    silent_ms = now_ms - heard.received_at_ms
    return AnomalyDetectedEvent(
        site=about.site,
        device=about.device,
        anomaly_id=digest_id(about.site, about.device, heard.measured_at_ms, AlarmKind.SILENT),
        kind=AlarmKind.SILENT,
        phase=Phase.RAISED,
        severity=Severity.WARNING,
        score=round(max(1.0, silent_ms / habit.allowed_ms), 4),
        peak_score=round(max(1.0, silent_ms / habit.allowed_ms), 4),
        since_ms=heard.measured_at_ms,
        measured_at_ms=heard.measured_at_ms + silent_ms,
        detected_at_ms=now_ms,
        boot=heard.boot,
        seq=heard.seq,
        correlation_id=reading_id(about.site, about.device, heard.boot, heard.seq),
        model=_MODEL,
        evidence=Evidence(
            sensors=[],
            sentence=_sentence(about, habit, silent_ms),
            window=Window(measured_at_ms=[], series={}),
            question=SITE_QUESTION if about.devices > 1 else AlarmKind.SILENT,
        ),
    )


def _sentence(about: Silent, habit: Habit, silent_ms: int) -> dict[str, str]:
    away, usual = (_length(each) for each in (silent_ms, habit.usual_ms))
    if about.devices > 1:
        return {
            "en": f"Nothing was heard of the {about.devices} devices of {about.site} for {away['en']}.",
            "pt": f"Nada se ouviu dos {about.devices} dispositivos de {about.site} há {away['pt']}.",
        }
    if about.why is Quiet.OFFLINE:
        return {
            "en": f"{about.device} lost its connection and was not heard for {away['en']}.",
            "pt": f"{about.device} perdeu a conexão e não é ouvido há {away['pt']}.",
        }
    return {
        "en": f"{about.device} was not heard for {away['en']}; it usually speaks every {usual['en']}.",
        "pt": f"{about.device} não é ouvido há {away['pt']}; costuma falar a cada {usual['pt']}.",
    }


def _length(ms: int) -> dict[str, str]:
    """`90 s`, `12 min`, `30 h`: the largest unit of which there are at least two."""
    for unit, en, pt in ((3_600_000, "h", "h"), (60_000, "min", "min")):
        if ms >= 2 * unit:
            return {"en": f"{ms // unit} {en}", "pt": f"{ms // unit} {pt}"}
    return dict.fromkeys(("en", "pt"), f"{max(1, round(ms / 1000))} s")
