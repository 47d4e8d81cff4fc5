"""Alarms as people get them: none about healthy machines, and every fault found soon and at the right sensor.

Everything with the product's own settings. (a) the healthy hours of SKAB's rig; (b) a week of an emulated healthy fleet
(`edge.duty`: schedules, speeds, starts, drift, gaps and wild readings); (c) each fault of `edge.signatures` on the same
machines. Figures in brackets are 95 % intervals.
"""

from __future__ import annotations

import argparse
import os
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

from benchmarks.healthy import Journal, Raised, recorded
from benchmarks.injected import RAMPS_S, Trial, onsets, trials
from benchmarks.intervals import Interval, quantile, rate, share
from benchmarks.machine import described
from benchmarks.relearning import Trained
from benchmarks.watched import Emulated, Watched
from detection.kinds import Alarm
from detection.settings import Settings
from edge.faults import FaultKind
from edge.schedule import DAY_S
from ronda.settings import Settings as Product

BESIDE = Path(__file__).parent.parent.parent / "shared" / "datasets"
# Where in the healthy recording to learn from; the first is the goal's, the others tell how much of it is luck.
STARTS = (0, 1800, 3600, 5400)
PROCESSES = 2


class Life(NamedTuple):
    """What came of one machine: days watched and in alarm, readings judged, alarms about nothing, and the trials."""

    seed: int
    pattern: str
    days: float
    in_alarm: float
    readings: int
    raised: list[Raised]
    trials: list[Trial]
    trained: list[Trained]


class Plan(NamedTuple):
    """For how many days, onsets per speed of each machine, readings of a first model, and whether it learns again."""

    days: float
    each: int
    learn_rows: int
    again: bool


def main(arguments: Sequence[str]) -> None:
    """Print the three tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks alerts", description=__doc__)
    parser.add_argument("--days", type=float, default=7.0)
    parser.add_argument("--assets", type=int, default=8)
    parser.add_argument("--seed", type=int, default=0, help="of the first machine; the others follow")
    parser.add_argument("--each", type=int, default=3, help="onsets per speed of each machine; 0: no faults")
    parser.add_argument("--first-model-only", action="store_true", help="do not learn again as the product does")
    parser.add_argument("--data", type=Path, default=Path(os.environ.get("RONDA_DATASETS") or BESIDE) / "skab")
    parser.add_argument("--list", action="store_true", help="list every false alarm, miss and training")
    options = parser.parse_args(arguments)
    rows = Product(_env_file=None).learn_rows  # type: ignore[call-arg]  # pydantic-settings' own
    anew = "never again" if options.first_model_only else "again with twice as many or at an unknown speed"
    print(f"{described()}; learned from {rows:,} readings, {anew}; sensitivity {Settings().sensitivity:g}")
    _print_recorded(options.data, rows)
    plan = Plan(options.days, options.each, rows, not options.first_model_only)
    lives = _lives(range(options.seed, options.seed + options.assets), plan)
    _print_week(lives)
    _print_faults([trial for life in lives for trial in life.trials])
    if options.list:
        _print_list(lives)


def live(seed: int, number: int, plan: Plan) -> Life:
    """One machine's whole time."""
    emulated = Emulated(seed, number, round(plan.days * DAY_S))
    watched = Watched(emulated, plan.learn_rows, again=plan.again)
    wanted = {onset.begin_s: onset for onset in onsets(emulated, plan.each)}
    journal, readings, tried = Journal(emulated), 0, list[Trial]()
    begin_s = emulated.end_s
    for watch in watched.stretches(wanted):
        journal.note(watch)
        begin_s = min(begin_s, int(watch.readings.times_ms[0]) // 1000)
        readings += len(watch.readings.times_ms)
        if watch.end_s in wanted:
            tried += trials(emulated, watch, wanted[watch.end_s])
    return Life(
        seed,
        emulated.pump.pattern.value,
        (emulated.end_s - begin_s) / DAY_S,
        sum(alarm.lasted_s for alarm in journal.told() if alarm.alarm == Alarm.ANOMALY.value) / DAY_S,
        readings,
        journal.told(),
        tried,
        watched.trained,
    )


def _lives(seeds: Iterable[int], plan: Plan) -> list[Life]:
    lives: list[Life] = []
    with ProcessPoolExecutor(PROCESSES) as pool:
        waiting = [pool.submit(live, seed, number, plan) for number, seed in enumerate(seeds)]
        for done in as_completed(waiting):
            life = done.result()
            lives.append(life)
            print(f"  {len(lives)}/{len(waiting)}: {_told(life)}", flush=True)
    return sorted(lives)


def _told(life: Life) -> str:
    misses = sum(not trial.found for trial in life.trials if not trial.busy)
    return (
        f"machine {life.seed} ({life.pattern}): {len(life.raised)} alarms, {misses} of {len(life.trials)} faults missed"
    )


def _print_recorded(data: Path, rows: int) -> None:
    print("\n(a) SKAB, healthy run; goal: 0 alarms in the first line")
    if not data.is_dir():
        print(f"  no recordings at {data}: set RONDA_DATASETS")
        return
    for found in recorded(data, rows, STARTS):
        per_hour = _bracketed(rate(found.alarms, found.hours), "{:.2f}")
        print(
            f"  learned from rows {found.first:,} to {found.first + found.learned:,}: "
            f"{found.alarms} alarms in {found.hours:.2f} h, {per_hour} an hour"
        )


def _print_week(lives: Sequence[Life]) -> None:
    raised, days = [alarm for life in lives for alarm in life.raised], sum(life.days for life in lives)
    readings = sum(life.readings for life in lives)
    print(f"\n(b) a healthy emulated fleet, {readings:,} readings; goal: < 1 alarm per machine and day")
    print(f"  {'machine':<24}{'days':>6}{'alarms':>8}   {'a day':<20}in alarm, % of time")
    for life in lives:
        _print_machine(f"{life.seed} {life.pattern}", life.days, len(life.raised), life.in_alarm)
    _print_machine("all", days, len(raised), sum(life.in_alarm for life in lives))
    for title, key in _GROUPS:
        counts = Counter(map(key, raised)).most_common()
        print(f"  by {title}: " + (", ".join(f"{name} {count}" for name, count in counts) or "none"))


def _print_machine(name: str, days: float, alarms: int, in_alarm: float) -> None:
    per_day = _bracketed(rate(alarms, days), "{:.2f}")
    print(f"  {name:<24}{days:>6.1f}{alarms:>8}   {per_day:<20}{100 * in_alarm / days:.2f}")


def _print_faults(tried: Sequence[Trial]) -> None:
    print("\n(c) injected faults of the documented sizes; goals: all found, median delay < 60 s, right sensor ≥ 95 %")
    if not tried:
        print("  none asked for")
        return
    counted = [trial for trial in tried if not trial.busy]
    print(f"  {len(tried)} trials, {len(tried) - len(counted)} not counted: an alarm was open at their onset")
    head = ("found %", 22), ("median s", 16), ("p90 s", 16), ("after full, median s", 22), ("right sensor first %", 0)
    print(f"  {'':<34}{'n':>5}  " + "".join(f"{name:<{width}}" for name, width in head))
    for ramp_s in RAMPS_S:
        for kind in FaultKind:
            _print_row(
                f"{kind.value}, full in {ramp_s} s", [t for t in counted if (t.kind, t.ramp_s) == (kind, ramp_s)]
            )
        _print_row(f"all, full in {ramp_s} s", [t for t in counted if t.ramp_s == ramp_s])
    for place in sorted({(trial.pattern, trial.regime) for trial in counted}):
        _print_row(f"{place[0]}, speed {place[1]}", [t for t in counted if (t.pattern, t.regime) == place])
    _print_row("all", counted)


def _print_row(title: str, tried: Sequence[Trial]) -> None:
    found = [trial for trial in tried if trial.found]
    delays, full = [trial.delay_s for trial in found], [trial.after_full_s for trial in found]
    columns = (
        f"{_bracketed(_percent(share(len(found), len(tried))), '{:.1f}'):<22}",
        f"{_bracketed(quantile(delays, 0.5), '{:.0f}'):<16}",
        f"{_bracketed(quantile(delays, 0.9), '{:.0f}'):<16}",
        f"{_bracketed(quantile(full, 0.5), '{:.0f}'):<22}",
        _bracketed(_percent(share(sum(trial.right for trial in found), len(found))), "{:.1f}"),
    )
    print(f"  {title:<34}{len(tried):>5}  {''.join(columns)}")


def _print_list(lives: Sequence[Life]) -> None:
    print("\nevery alarm about a healthy machine")
    for life in lives:
        for alarm in life.raised:
            print(f"  {_where(life, alarm.at_s)}  {_told_alarm(alarm)}")
    print("\nevery training")
    for life in lives:
        for training in life.trained:
            print(f"  {_where(life, training.at_s)}  on {training.rows:,} readings, {training.outcome}")
    print("\nevery fault that was missed or named wrongly")
    for life in lives:
        for trial in life.trials:
            if not trial.busy and not (trial.found and trial.right):
                print(f"  {_where(life, trial.onset_s)}  {_told_trial(trial)}")


def _where(life: Life, at_s: int) -> str:
    return f"{life.seed} {life.pattern:<18}{datetime.fromtimestamp(at_s, UTC):%a %H:%M:%S}"


def _told_alarm(alarm: Raised) -> str:
    return (
        f"{alarm.alarm} {alarm.question:<10}{alarm.sensor:<22}peak {alarm.peak:.2f}, regime {alarm.regime} for "
        f"{alarm.since_s} s, lasted {alarm.lasted_s:.0f} s"
    )


def _told_trial(trial: Trial) -> str:
    outcome = f"after {trial.delay_s:.0f} s {trial.question} {trial.sensor}" if trial.found else "missed"
    return f"{trial.kind} in {trial.ramp_s} s, regime {trial.regime}: {outcome}"


def _percent(of: Interval) -> Interval:
    return Interval(*(100 * end for end in of))


def _bracketed(of: Interval, form: str) -> str:
    value, low, high = map(form.format, of)
    return f"{value} [{low}, {high}]"


def _since(alarm: Raised) -> str:
    return "under 2 min" if alarm.since_s < 120 else "under 1 h" if alarm.since_s < 3600 else "longer"


_GROUPS: Sequence[tuple[str, Callable[[Raised], str]]] = (
    ("kind", lambda alarm: alarm.alarm),
    ("question", lambda alarm: alarm.question),
    ("first sensor", lambda alarm: alarm.sensor),
    ("set-point", lambda alarm: f"speed {alarm.regime}" if alarm.regime else "off"),
    ("time since the set-point changed", _since),
)
