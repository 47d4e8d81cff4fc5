"""Who falls silent is told of once, by its own habit; what we ourselves could not hear is held against nobody."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pytest

from cloud.agents.silence import AGAIN_MS, Device, Habit, Heard, Key, Quiet, Silent, habit_of, quiet, raised, silent
from cloud.agents.silence_watch import SETTLE_MS, SilenceWatch
from contract.events import AlarmKind, AnomalyDetectedEvent, Phase
from ronda.silence import says_offline

S, MINUTE, HOUR = 1000, 60_000, 3_600_000
DAY = 24 * HOUR
NOW = 1_763_800_000_000
EVERY_SECOND, EVERY_TEN_MINUTES = Habit(S, S), Habit(10 * MINUTE, 11 * MINUTE)
NIGHTLY = Habit(S, 8 * HOUR)


def heard(ago_ms: int, at_ms: int = NOW) -> Heard:
    return Heard(at_ms - ago_ms, at_ms - ago_ms - 40, "9f2c41d07be3a655", 17)


def test_a_habit_is_the_usual_pause_and_what_happened_three_times() -> None:
    seconds = [NOW + S * n for n in range(100)]
    assert habit_of(seconds) == Habit(S, S)
    assert habit_of(seconds, [DAY, DAY // 2]) == Habit(S, S), "two outages are none"
    assert habit_of(seconds, [8 * HOUR, 9 * HOUR, 10 * HOUR]) == Habit(S, 8 * HOUR)
    assert habit_of([NOW] * 500) is None, "one message, however long"
    assert habit_of(seconds[:19]) is None


@pytest.mark.parametrize(
    ("habit", "allowed", "excused"),
    [
        (EVERY_SECOND, 30 * S, 10 * S),
        (Habit(MINUTE, 2 * MINUTE), 10 * MINUTE, 3 * MINUTE),
        (EVERY_TEN_MINUTES, 100 * MINUTE, 16 * MINUTE + 30 * S),
        (NIGHTLY, 12 * HOUR, 12 * HOUR),
    ],
)
def test_how_long_a_device_may_be_quiet(habit: Habit, allowed: int, excused: int) -> None:
    assert (habit.allowed_ms, habit.excused_ms) == (allowed, excused)


@pytest.mark.parametrize(
    ("device", "hearing_for", "state"),
    [
        (Device(heard(29 * S), EVERY_SECOND), HOUR, Quiet.SPEAKING),
        (Device(heard(30 * S), EVERY_SECOND), HOUR, Quiet.OVERDUE),
        (Device(heard(11 * S), EVERY_SECOND, offline=True), HOUR, Quiet.OFFLINE),
        (Device(heard(9 * S), EVERY_SECOND, offline=True), HOUR, Quiet.SPEAKING),
        (Device(heard(3 * HOUR), NIGHTLY), DAY, Quiet.SPEAKING),
        (Device(heard(3 * HOUR), NIGHTLY, offline=True), DAY, Quiet.SPEAKING),
        (Device(heard(2 * HOUR), EVERY_SECOND), 20 * S, Quiet.SPEAKING),
        (Device(heard(2 * HOUR), EVERY_SECOND), 30 * S, Quiet.OVERDUE),
        (Device(heard(8 * DAY), EVERY_SECOND), HOUR, Quiet.GIVEN_UP),
        (Device(heard(8 * DAY), EVERY_SECOND), 7 * DAY, Quiet.OVERDUE),
    ],
)
def test_how_a_device_is(device: Device, hearing_for: int, state: Quiet) -> None:
    assert quiet(device, NOW, NOW - hearing_for) is state


def _silent(devices: Mapping[str, Device]) -> list[tuple[str, Quiet, int]]:
    found = silent({("plant-1", name): device for name, device in devices.items()}, NOW, {"plant-1": NOW - DAY})
    return [(each.device, each.why, each.devices) for each in found]


def test_one_of_several_is_told_by_itself() -> None:
    others = {f"pump-{n}": Device(heard(S), EVERY_SECOND) for n in range(3)}
    assert _silent(others | {"pump-7": Device(heard(2 * MINUTE), EVERY_SECOND)}) == [("pump-7", Quiet.OVERDUE, 1)]


def test_a_device_alone_at_its_site_is_told() -> None:
    assert _silent({"pump-7": Device(heard(MINUTE), EVERY_SECOND)}) == [("pump-7", Quiet.OVERDUE, 1)]


def test_a_site_that_falls_silent_is_told_once() -> None:
    devices = {f"pump-{n}": Device(heard(2 * MINUTE + n * S), EVERY_SECOND) for n in range(12)}
    assert _silent(devices) == [("pump-11", Quiet.OVERDUE, 12)]


def test_those_who_speak_seldom_are_waited_for_before_a_site_is_told() -> None:
    fast = {f"pump-{n}": Device(heard(20 * MINUTE), EVERY_SECOND) for n in range(2)}
    assert _silent(fast | {"meter": Device(heard(25 * MINUTE), EVERY_TEN_MINUTES)}) == []
    assert _silent(fast | {"meter": Device(heard(5 * MINUTE), EVERY_TEN_MINUTES)}) == [
        ("pump-0", Quiet.OVERDUE, 1),
        ("pump-1", Quiet.OVERDUE, 1),
    ]
    long = {f"pump-{n}": Device(heard(101 * MINUTE), EVERY_SECOND) for n in range(2)}
    assert _silent(long | {"meter": Device(heard(102 * MINUTE), EVERY_TEN_MINUTES)}) == [("meter", Quiet.OVERDUE, 3)]


def test_one_that_is_off_for_the_night_says_nothing_about_the_others() -> None:
    devices = {"press": Device(heard(3 * HOUR), NIGHTLY), "pump-7": Device(heard(MINUTE), EVERY_SECOND)}
    assert _silent(devices) == [("pump-7", Quiet.OVERDUE, 1)]


def test_sites_are_told_apart() -> None:
    gone = Device(heard(MINUTE), EVERY_SECOND)
    devices: dict[Key, Device] = {(site, f"pump-{n}"): gone for site in ("a", "b") for n in range(2)}
    found = silent(devices, NOW, {"a": NOW - DAY, "b": NOW - 20 * S})
    assert [(each.site, each.devices) for each in found] == [("a", 2)]


def test_the_same_silence_is_the_same_alarm_and_says_why_in_both_languages() -> None:
    about = Silent("plant-1", "pump-07", heard(5 * MINUTE), Quiet.OVERDUE)
    first, again = raised(about, EVERY_SECOND, NOW), raised(about, EVERY_SECOND, NOW + MINUTE)
    assert (first.id, first.anomaly_id) == (again.id, again.anomaly_id)
    assert first.kind is AlarmKind.SILENT
    assert first.since_ms == NOW - 5 * MINUTE - 40
    assert first.measured_at_ms == NOW - 40, "in the device's own time"
    assert first.evidence.sentence == {
        "en": "pump-07 was not heard for 5 min; it usually speaks every 1 s.",
        "pt": "pump-07 não é ouvido há 5 min; costuma falar a cada 1 s.",
    }


@pytest.mark.parametrize(
    ("payload", "offline"),
    [(b"offline", True), (b'{"state":"offline"}', True), (b"online", False), (b'{"state":"online"}', False),
     (b"", False), (b"[]", False), (b"\xff", False)],
)  # fmt: skip
def test_what_a_status_says(payload: bytes, *, offline: bool) -> None:
    assert says_offline(payload) is offline


class Plant:
    """Devices that speak until they do not, and a store that remembers; the clock is ours."""

    def __init__(self, *names: str) -> None:
        self.now_ms = NOW
        self.set_by_ms = 0
        self.words: dict[Key, Heard] = {}
        self.habits = dict.fromkeys((("plant-1", name) for name in names), EVERY_SECOND)
        self.late: dict[Key, Heard] = {}
        self.open: dict[str, AnomalyDetectedEvent] = {}
        self.ids: set[str] = set()
        self.said: list[AnomalyDetectedEvent] = []
        self.speak(*names)
        self.watch = SilenceWatch(self, lambda: self.now_ms, lambda: self.now_ms - self.set_by_ms)

    def speak(self, *names: str) -> None:
        for name in names:
            before = self.words.get(("plant-1", name))
            self.words["plant-1", name] = Heard(
                self.now_ms, self.now_ms - 40, "9f2c41d07be3a655", before.seq + 1 if before else 0
            )

    async def run(self, seconds: float, *speaking: str, able: bool = True) -> list[tuple[str, Phase]]:
        """What is said within this time, in which these devices speak every second."""
        already = len(self.said)
        for second in range(int(seconds)):
            self.now_ms += S
            self.speak(*speaking)
            if second % 5 == 4:
                self.watch.hearing(able=able)
                await self.watch.look()
        return [(event.device, event.phase) for event in self.said[already:]]

    async def heard(self) -> Mapping[Key, Heard]:
        return dict(self.words)

    async def heard_lately(self, site: str, device: str) -> Heard | None:
        return self.late.get((site, device), self.words[site, device])

    async def habit(self, site: str, device: str) -> Habit | None:
        return self.habits[site, device]

    async def told(self) -> Sequence[AnomalyDetectedEvent]:
        return list(self.open.values())

    async def keep(self, events: Sequence[AnomalyDetectedEvent]) -> Sequence[AnomalyDetectedEvent]:
        new = [event for event in events if event.id not in self.ids]
        for event in new:
            self.ids.add(event.id)
            self.open[event.anomaly_id] = event
            if event.phase is Phase.CLEARED:
                del self.open[event.anomaly_id]
        self.said += new
        return new


async def test_a_device_that_falls_silent_is_told_of_once_and_cleared_when_it_speaks() -> None:
    plant = Plant("a", "b")
    assert await plant.run(300, "a", "b") == []
    assert await plant.run(300, "b") == [("a", Phase.RAISED)]
    assert await plant.run(10, "a", "b") == [("a", Phase.CLEARED)]
    assert await plant.run(300, "a", "b") == []


async def test_who_goes_offline_is_told_of_at_once() -> None:
    plant = Plant("a", "b")
    await plant.run(300, "a", "b")
    plant.watch.status(("plant-1", "a"), offline=True)
    assert await plant.run(10, "b") == []
    assert await plant.run(5, "b") == [("a", Phase.RAISED)]


async def test_a_site_is_told_of_once_and_its_devices_have_a_moment_to_come_back() -> None:
    plant = Plant("a", "b", "c")
    await plant.run(300, "a", "b", "c")
    [(_, phase)] = await plant.run(600)
    assert phase is Phase.RAISED
    assert plant.said[-1].evidence.sentence["en"].startswith("Nothing was heard of the 3 devices of plant-1 for ")
    assert [phase for _, phase in await plant.run(10, "b")] == [Phase.CLEARED]
    assert await plant.run(40, "a", "b") == []
    assert await plant.run(60, "a", "b") == [("c", Phase.RAISED)], "the one that stayed away"


async def test_after_a_restart_nobody_is_told_of_what_we_missed_ourselves() -> None:
    plant = Plant("a", "b")
    await plant.run(300, "a", "b")
    plant.now_ms += 2 * HOUR
    plant.watch = SilenceWatch(plant, lambda: plant.now_ms, lambda: plant.now_ms)
    assert await plant.run(SETTLE_MS / S + 20) == []
    assert await plant.run(300, "a", "b") == []


@pytest.mark.parametrize("by_ms", [2 * HOUR, -2 * HOUR])
async def test_a_clock_that_is_set_makes_nobody_silent_and_who_falls_silent_after_it_is_told_of(by_ms: int) -> None:
    plant = Plant("a", "b")
    await plant.run(300, "a", "b")
    plant.now_ms += by_ms
    plant.set_by_ms += by_ms
    assert await plant.run(300, "a", "b") == []
    assert await plant.run(300, "b") == [("a", Phase.RAISED)]


async def test_after_a_restart_a_site_that_was_told_of_is_not_told_of_again() -> None:
    plant = Plant("a", "b", "c")
    await plant.run(300, "a", "b", "c")
    await plant.run(300)
    plant.watch = SilenceWatch(plant, lambda: plant.now_ms, lambda: plant.now_ms)
    assert await plant.run(600) == []


async def test_while_the_broker_or_the_historian_is_away_nobody_is_silent() -> None:
    plant = Plant("a", "b")
    await plant.run(300, "a", "b")
    assert await plant.run(3600, able=False) == []
    assert await plant.run(300, "a", "b") == []


async def test_what_lasts_is_said_once_more() -> None:
    plant = Plant("a", "b")
    await plant.run(300, "a", "b")
    said = await plant.run(3 * AGAIN_MS / S, "b")
    assert said == [("a", Phase.RAISED), ("a", Phase.UPDATED)]
    assert await plant.run(10, "a", "b") == [("a", Phase.CLEARED)]


async def test_a_device_whose_clock_was_set_back_still_speaks() -> None:
    plant = Plant("a", "b")
    await plant.run(300, "a", "b")
    for _ in range(60):
        plant.late["plant-1", "a"] = Heard(plant.now_ms + 5 * S, plant.now_ms - HOUR, "9f2c41d07be3a655", 1000)
        assert await plant.run(5, "b") == []
