"""How the product learns a machine, without its store and registry: first, and again whenever it would.

The decisions are the product's own functions (`cloud.models`); nobody gives a verdict here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from cloud.models.backtest import DAY_MS, Replay, compare, verdict_on
from cloud.models.selection import MAX_ROWS, healthy, left_out
from cloud.storage.verdicts import Episode
from contract.events import AlarmKind
from detection.change import Change
from detection.detector import Running
from detection.episode import Phase
from detection.errors import FitError
from detection.fit import fit
from detection.machine import Machine
from detection.model import Model
from edge.arrival import Arrived
from edge.metrics import NAMES


class Trained(NamedTuple):
    """One training: on how many rows, at which time (epoch s), and what the back-test said of it."""

    at_s: int
    rows: int
    outcome: str


class Learner:
    """Keeps what a machine has said and what was raised about it, and fits models of it."""

    def __init__(self, learn_rows: int) -> None:
        self.trained: list[Trained] = []
        self._learn_rows, self._largest, self._strange = learn_rows, 0, 0
        self._times: list[np.ndarray] = []
        self._values: list[np.ndarray] = []
        self._episodes: list[Episode] = []
        self._model: Model | None = None

    def store(self, seen: Arrived) -> None:
        """Keep these readings."""
        self._times.append(seen.times_ms)
        self._values.append(seen.values)

    def note(self, seen: Arrived, changes: Sequence[Change], machine: Machine) -> None:
        """Keep what was raised about these readings, what cleared, and how many it has had nothing to judge by."""
        judged = np.flatnonzero(~np.isnan(machine.scores))
        if machine.running is not Running.LEARNING:
            self._strange = 0
        elif len(judged):
            self._strange = len(machine.scores) - int(judged[-1]) - 1
        else:
            self._strange += len(machine.scores)
        for change in changes:
            at_ms = int(seen.times_ms[change.row])
            if change.phase is Phase.RAISED:
                self._episodes.append(_episode(change))
            elif change.phase is Phase.CLEARED:
                self._close(change, at_ms)

    def first(self) -> Model | None:
        """The model of the oldest readings; None while they are too few or nothing can be learned from them."""
        times, values = self._all()
        # A machine that stood still at first: as many readings again, until there is something to learn.
        count = len(times) // self._learn_rows * self._learn_rows
        if count <= self._largest:
            return None
        self._largest = count
        try:
            self._model = fit(values[:count], times[:count], list(NAMES)).model
        except FitError:
            return None
        self._told(times[count - 1], count, "first")
        return self._model

    def again(self) -> Model | None:
        """The model that comes into force now, if one is due and its back-test lets it."""
        if self._model is None or (needed := self._needed()) is None or sum(map(len, self._times)) < needed:
            return None
        self._strange = 0
        times, values = self._all()
        kept = healthy(times, left_out(self._episodes, (), int(times[-1])))
        if kept.sum() < needed:
            return None
        chosen = np.flatnonzero(kept)[-MAX_ROWS:]
        self._largest = len(chosen)
        try:
            fitted = fit(values[chosen], times[chosen], list(NAMES))
        except FitError as error:
            self._told(times[-1], len(chosen), str(error))
            return None
        found = self._tried(fitted.model, fitted.report.exceedance, times, values)
        self._told(times[-1], len(chosen), found)
        if found.startswith("refused"):
            return None
        self._model = fitted.model
        return fitted.model

    def _needed(self) -> int | None:
        """How many healthy readings the next model takes; None: it is not due, however many there are."""
        if self._strange >= self._learn_rows:
            return self._learn_rows
        return min(2 * self._largest, MAX_ROWS) if self._largest < MAX_ROWS else None

    def _tried(self, candidate: Model, exceedance: float | None, times: np.ndarray, values: np.ndarray) -> str:
        """Over the last day against the one in force."""
        last = times >= times[-1] - DAY_MS
        replays = [Replay(model) for model in (self._model, candidate) if model is not None]
        for replay in replays:
            replay.look(times[last], values[last].T, NAMES)
        champion, challenger = (replay.finish() for replay in replays)
        raised = [
            e
            for e in self._episodes
            if e.kind is AlarmKind.ANOMALY and (e.cleared_at_ms or times[-1]) >= times[last][0]
        ]
        decision = verdict_on(
            compare(champion, challenger, raised, until_ms=int(times[-1])),
            replayed_ms=int(times[-1] - times[last][0]),
            exceedance=exceedance,
            first=False,
        )
        return f"{'promoted' if decision.promote else 'refused'}: {decision.reason}"

    def _close(self, change: Change, at_ms: int) -> None:
        for place in reversed(range(len(self._episodes))):
            episode = self._episodes[place]
            if episode.cleared_at_ms is None and (episode.kind, episode.sensor) == _key(change, episode):
                self._episodes[place] = Episode(
                    anomaly_id=episode.anomaly_id,
                    since_ms=episode.since_ms,
                    cleared_at_ms=at_ms,
                    verdict=None,
                    kind=episode.kind,
                    sensor=episode.sensor,
                )
                return

    def _all(self) -> tuple[np.ndarray, np.ndarray]:
        return np.concatenate(self._times), np.concatenate(self._values)

    def _told(self, at_ms: int, rows: int, outcome: str) -> None:
        self.trained.append(Trained(int(at_ms) // 1000, rows, outcome))


def named_first(change: Change) -> str:
    """The sensor named first; one may be missing altogether."""
    return change.explanation.sensors[0].name if change.explanation.sensors else ""


def _episode(change: Change) -> Episode:
    return Episode(
        anomaly_id="",
        since_ms=change.since_ms,
        cleared_at_ms=None,
        verdict=None,
        kind=AlarmKind(change.alarm.value),
        sensor=named_first(change),
    )


def _key(change: Change, episode: Episode) -> tuple[AlarmKind, str | None]:
    """An anomaly may have moved to another sensor meanwhile; a sensor's own alarm has not."""
    kind = AlarmKind(change.alarm.value)
    return kind, named_first(change) if kind is AlarmKind.SENSOR else episode.sensor
