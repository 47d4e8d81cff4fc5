"""Watches one machine: readings in, changes of its state out. Row by row or in blocks: the same answer to the bit.

Late readings are skipped and counted; a hole in the data empties the window and never alarms by itself; the centre
follows healthy running.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, tzinfo

import msgspec
import numpy as np

from detection import state as memory
from detection.baseline import FOLLOW_BELOW, FOLLOW_ROWS, Baseline, Levels, mean_level
from detection.episode import Episode, Phase, Severity
from detection.errors import DetectionError
from detection.explain import Explanation, Findings, Kind, Scene, findings, shares_of
from detection.model import Model, sha256
from detection.questions import Questions
from detection.ring import Ring
from detection.rows import STEPS, Floats, Ints, Rows, arranged, scaled
from detection.state import Jumped, State, packed
from detection.words import told

Columns = Sequence[Sequence[float | None]] | Floats

# Three minutes at 1 Hz: what the picture of an alarm shows. A machine with many channels keeps fewer, so that a state
# stays near 20 kB.
_RING_ROWS, _RING_NUMBERS = 180, 4000


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """The machine left its normal state, is worse, or came back; row `row` of the processed block decided it.

    `score` 1 is the limit. `new_level`: cleared because it settled elsewhere, which a person should verify.
    `explanation` is the one it was raised or last updated with, also when it clears.
    """

    phase: Phase
    row: int
    severity: Severity
    score: float
    peak_score: float
    since_ms: int
    explanation: Explanation
    new_level: bool = False


class Detector:
    """Judges `device` with `model`, going on from `state` when there is one.

    `units` (metric → unit) and `tz` are for the sentence that a person reads. A state that another model left hands
    over only the open anomaly and the position: its rows are in other units.
    `scores` (n) are those of the last block processed, NaN where a row was not judged; `score` is the last one there
    was; `skipped` counts late rows.

    Raises: DetectionError for a state that is none.
    """

    def __init__(
        self,
        model: Model,
        *,
        device: str = "this machine",
        units: Mapping[str, str] | None = None,
        tz: tzinfo = UTC,
        state: bytes | None = None,
    ) -> None:
        self.model = model
        self.scores: Floats = np.empty(0)
        self.score = 0.0
        self.position_ms: int | None = None
        self.skipped = 0
        self._device, self._units, self._tz = device, units or {}, tz
        self._questions = Questions(model)
        self._fingerprint = sha256(model.to_bytes())
        self._centre, self._deviation = np.asarray(model.centre), np.asarray(model.deviation)
        # A hole as long as the window: what stands on its far side says nothing about now.
        self._gap_ms = model.settings.window * model.cadence_ms
        k = len(model.metrics)
        self._ring = Ring(max(self._questions.history + 1, min(_RING_ROWS, _RING_NUMBERS // k)), k)
        self._levels = Levels(self._questions, model.settings, k)
        self._episode = Episode()
        self._block_peak = 0.0
        self._jumped: Jumped | None = None
        self._explanation: Explanation | None = None
        if state is not None:
            self._resume(memory.from_bytes(state))

    @property
    def active(self) -> bool:
        """Is the machine outside its normal state?"""
        return self._episode.active

    @property
    def warming(self) -> bool:
        """Is the window still filling, so that nothing is judged?"""
        return self._ring.fresh < self.model.settings.window

    def process(self, measured_at_ms: Sequence[int] | Ints, values: Columns, metrics: Sequence[str]) -> list[Change]:
        """Judge n readings in the order given: times (n), and per metric, in any order, a column of n values.

        NaN or None is a value that is missing. Raises: DetectionError when the columns do not fit.
        """
        times = np.asarray(measured_at_ms, dtype=np.int64)
        columns = np.asarray(values, dtype=np.float64)
        if columns.shape != (len(metrics), len(times)):
            raise DetectionError(f"{len(metrics)} metrics at {len(times)} times do not fit columns of {columns.shape}")
        rows = scaled(arranged(columns.T, metrics, self.model.metrics), self._centre, self._deviation)
        self.scores = np.full(len(times), np.nan)
        changes: list[Change] = []
        for places in self._stretches(times):
            kept = np.arange(len(times))[places]
            changes += self._watch(rows[places], times[places], kept)
        return changes

    def leading(self) -> tuple[str, float] | None:
        """The sensor with the largest part in the last score, and its share (0 to 1); None while the window fills."""
        if self.warming:
            return None
        _, shares = shares_of(self._questions, self._scene(self._ring.rows, self._ring.times, self._ring.fresh))
        channel = int(np.argmax(shares))
        return self.model.metrics[channel], float(shares[channel])

    def state(self) -> bytes:
        """All that the next reading's judgement depends on, to go on from in another process."""
        return memory.to_bytes(
            State(
                model=self._fingerprint,
                episode=self._episode,
                explanation=self._explanation,
                jumped=self._jumped,
                score=self.score,
                position_ms=self.position_ms,
                skipped=self.skipped,
                fresh=self._ring.fresh,
                block_peak=self._block_peak if math.isfinite(self._block_peak) else None,
                baselines=[(packed(level.anchor), packed(level.centre)) for level in self._levels.accepted],
                rows=packed(self._ring.rows),
                times=packed(self._ring.times),
                ages=packed(self._ring.ages),
            )
        )

    def _resume(self, state: State) -> None:
        self._episode, self._explanation = state.episode, state.explanation
        self.score, self.position_ms, self.skipped = state.score, state.position_ms, state.skipped
        if state.model != self._fingerprint:
            self._episode.interrupt()
            return
        self._jumped = state.jumped
        self._block_peak = math.inf if state.block_peak is None else state.block_peak
        self._levels.accepted = [Baseline(memory.wide(anchor), memory.wide(now)) for anchor, now in state.baselines]
        self._ring.rows = memory.table(state.rows, len(self.model.metrics))
        self._ring.times, self._ring.ages = memory.wide(state.times), memory.wide(state.ages)
        self._ring.fresh = state.fresh

    def _stretches(self, times: Ints) -> Iterator[Ints | slice]:
        """Places in the block of the rows that are not late, stretch by stretch between the holes in the data."""
        if not len(times):
            return
        position = int(times[0]) if self.position_ms is None else self.position_ms
        steps = np.diff(times, prepend=position) if len(times) > 1 else times - position
        if steps.min() >= 0 and steps.max() <= self._gap_ms:
            self.position_ms = int(times[-1])
            yield slice(0, len(times))
            return
        front = np.maximum.accumulate(np.concatenate(([position], times)))
        kept = np.flatnonzero(times >= front[:-1])
        self.skipped += len(times) - len(kept)
        self.position_ms = int(front[-1])
        holes = np.flatnonzero(np.diff(times[kept], prepend=position) > self._gap_ms)
        for number, stretch in enumerate(np.split(kept, holes)):
            if number:
                self._interrupt()
            if len(stretch):
                yield stretch

    def _interrupt(self) -> None:
        self._ring.interrupt()
        self._episode.interrupt()
        self._block_peak = 0.0

    def _watch(self, rows: Rows, times: Ints, places: Ints) -> list[Change]:
        """Rows without a hole, in blocks between which the centre may move."""
        rows = self._ring.fill(rows, self.model.settings.window)
        changes: list[Change] = []
        done = 0
        while done < len(rows):
            stop = done + FOLLOW_ROWS - self._ring.fresh % FOLLOW_ROWS
            done += self._judge(rows[done:stop], times[done:stop], places[done:stop], changes)
        return changes

    def _judge(self, rows: Rows, times: Ints, places: Ints, changes: list[Change]) -> int:
        """Score and decide row by row; returns how many, fewer than given when a new level was accepted on the way."""
        joined = np.concatenate((self._ring.rows, rows))
        centres = [level.centre for level in self._levels.accepted]
        scores = self._questions.scores(joined, len(rows), self._ring.fresh, centres)
        count = len(rows)
        for i, change in self._decisions(scores, joined, times):
            changes.append(msgspec.structs.replace(change, row=int(places[i])))
            if change.new_level and self._levels.accept(joined[: len(joined) - count + i + 1]):
                count = i + 1
                break
        self.scores[places[:count]] = scores[:count]
        self._ring.extend(rows[:count], times[:count])
        self._remember(scores[:count])
        if self._ring.fresh % FOLLOW_ROWS == 0:
            self._follow()
        return count

    def _remember(self, scores: Floats) -> None:
        peak, last = float(scores.max()), float(scores[-1])
        self._block_peak = max(self._block_peak, math.inf if math.isnan(peak) else peak)
        if not math.isnan(last):
            self.score = last

    def _decisions(self, scores: Floats, joined: Rows, times: Ints) -> Iterator[tuple[int, Change]]:
        episode, settings = self._episode, self.model.settings
        if not episode.active and episode.since_ms is None and not (scores > 1).any():
            return
        for i, (score, at_ms) in enumerate(zip(scores.tolist(), times.tolist(), strict=True)):
            phase = episode.step(score, at_ms, settings)
            if phase is not None:
                seen = joined[: len(joined) - len(scores) + i + 1]
                when = np.concatenate((self._ring.times, times[: i + 1]))
                yield i, self._change(phase, score, self._scene(seen, when, self._ring.fresh + i + 1))

    def _change(self, phase: Phase, score: float, scene: Scene) -> Change:
        since_ms = self._episode.since_ms or 0
        if phase is Phase.RAISED:
            self._explanation = None
        if phase is not Phase.CLEARED or self._explanation is None:
            found = findings(self.model, self._questions, scene, self._units)
            self._explanation = told(found, device=self._device, since_ms=self._true_since(found, scene), tz=self._tz)
        why = self._explanation
        if phase is Phase.RAISED:
            self._jumped = self._jump(why, scene)
        return Change(
            phase=phase,
            row=0,
            severity=self._episode.severity,
            score=score,
            peak_score=self._episode.peak,
            since_ms=since_ms,
            explanation=why,
            new_level=phase is Phase.CLEARED and self._settled_elsewhere(scene),
        )

    def _true_since(self, found: Findings, scene: Scene) -> int:
        """Since when the sentence is true: an open anomaly may go on in another sensor than it began with."""
        before = self._explanation
        if before is None:
            return self._episode.since_ms or 0
        same = (before.kind, before.sensors[0].name) == (found.kind, found.sensors[0].name)
        return before.since_ms if same else int(scene.times[-1])

    def _scene(self, rows: Rows, times: Ints, fresh: int) -> Scene:
        capacity = self._ring.capacity
        return Scene(rows[-capacity:], times[-capacity:], fresh, self._levels.nearest(rows).centre)

    def _jump(self, why: Explanation, scene: Scene) -> Jumped | None:
        """What to look at when a jump is over: a drifting channel that stays where it went has not come back."""
        if why.kind is not Kind.JUMP:
            return None
        channel = self.model.metrics.index(why.sensors[0].name)
        shift, _ = self._questions.jump_shift(scene.unbroken[-self._questions.history - 1 :])
        by = round(float(shift[-1, self._questions.jump_channels.tolist().index(channel)]) * STEPS)
        now = int(mean_level(scene.rows[-self.model.settings.window :], scene.baseline)[channel])
        return Jumped(channel, now - by, by)

    def _settled_elsewhere(self, scene: Scene) -> bool:
        window = scene.rows[-self.model.settings.window :]
        if self._questions.level(window, scene.baseline)[-1] > self.model.settings.clear_below:
            return True
        if self._jumped is None:
            return False
        now = int(mean_level(window, scene.baseline)[self._jumped.channel])
        return abs(now - self._jumped.before) > abs(self._jumped.by) / 2

    def _follow(self) -> None:
        """The centre moves towards a block of rows that were all clearly healthy."""
        if self._block_peak < FOLLOW_BELOW and not self._episode.active:
            self._levels.follow(self._ring.rows)
        self._block_peak = 0.0
