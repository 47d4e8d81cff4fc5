"""Judges a machine that runs: scores its readings, decides what they mean, and keeps what the next decision needs."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np

from detection.baseline import FOLLOW_BELOW, FOLLOW_ROWS, Baseline, Levels
from detection.decisions import Decisions
from detection.episode import Phase
from detection.explain import Scene, shares_of
from detection.model import Model, Normal
from detection.questions import Questions, largest
from detection.ring import Ring
from detection.rows import SILENT, WITHHELD, Floats, Ints, Rows
from detection.sensors import Flags
from detection.settings import Settings
from detection.state import JudgeState, packed, table, wide
from detection.turns import LOOK_ROWS, Turns, limit
from detection.verdicts import Verdicts
from detection.windows import Windows
from detection.words import Teller

# Three minutes at 1 Hz: what the picture of an alarm shows. A machine with many channels keeps fewer, so that a state
# stays near 20 kB.
_RING_ROWS, _RING_NUMBERS = 180, 4000


class Stretch(NamedTuple):
    """Rows (m, k) without a hole and their times (m), the machine's last ones before them included."""

    rows: Rows
    times: Ints

    def upto(self, end: int) -> Stretch:
        """The first `end` of them."""
        return Stretch(self.rows[:end], self.times[:end])


class _Point:
    """One operating point, ready to be judged at: its questions, and the levels that it was accepted at."""

    def __init__(self, normal: Normal, settings: Settings) -> None:
        self.questions = Questions(normal, settings.window)
        self.levels = Levels(self.questions, settings, np.asarray(normal.centre))

    @property
    def centres(self) -> list[Ints]:
        """Where the accepted levels are now."""
        return [level.centre for level in self.levels.accepted]


class Judge:
    """One machine's rows (n, k; steps of its healthy deviation) at the operating point it was last told of."""

    def __init__(self, model: Model, teller: Teller) -> None:
        self.score = 0.0
        self.turns = Turns()
        self.decisions = Decisions(model, teller)
        self.block_peak = 0.0
        self._turn_limit = limit(model.settings.window)
        self._model, self._settings = model, model.settings
        self._points = [None if normal is None else _Point(normal, model.settings) for normal in model.normals]
        self._point = next(point for point in self._points if point is not None)
        self._learned = True
        k = len(model.metrics)
        self.ring = Ring(max(self._point.questions.history + 1, min(_RING_ROWS, _RING_NUMBERS // k)), k)
        # Kept up while rows come one at a time and every channel speaks.
        self._windows: Windows | None = None

    @property
    def questions(self) -> Questions:
        """What is asked where the machine is."""
        return self._point.questions

    @property
    def warming(self) -> bool:
        """Is the window still filling, so that nothing is judged?"""
        return self.ring.fresh < self._settings.window

    @property
    def scene(self) -> Scene:
        """What there is to look at now."""
        return self._scene(Stretch(self.ring.rows, self.ring.times), 0)

    def shares(self) -> Floats:
        """Each channel's share (k) in the last score."""
        if self._windows is not None:
            if self._windows.stale:
                self._windows.answer(self.ring.rows, self.ring.spoken)
            return self._windows.shares()
        return shares_of(self._point.questions, self.scene)[1]

    def interrupt(self) -> None:
        """What the window holds says nothing about what comes next."""
        self.ring.interrupt()
        self.turns.forget()
        self.decisions.interrupt()
        self.block_peak = 0.0
        self._windows = None

    def enter(self, place: int) -> None:
        """The machine runs at this operating point from now on."""
        point = self._points[place]
        self._learned = point is not None
        self._point = point or self._point
        self._windows = None

    def judge(self, rows: Rows, times: Ints, places: Ints, withheld: Flags | None, found: Verdicts) -> None:
        """Add what is to say about rows that follow each other, numbers `places` of the block that `found` is about."""
        if not self._learned:
            return
        if withheld is not None and withheld.any():
            # A sensor that stands still says nothing about the machine, and no value of it is held; a temperature that
            # is on its way back after a start says nothing yet.
            rows = np.where(withheld, WITHHELD, rows)
        rows = self.ring.fill(rows, self._settings.window)
        if len(rows) == 1:
            self._row(rows[0], int(times[0]), int(places[0]), found, spoken=not (rows == SILENT).any())
        else:
            self._rows(rows, times, places, found)

    def judge_row(self, row: Floats, at_ms: int, found: Verdicts) -> None:
        """The same for a block of one row in which every channel spoke."""
        if self._learned:
            self.ring.ages = self.ring.no_ages
            self._row(row, at_ms, 0, found, spoken=True)

    @property
    def steady(self) -> Windows | None:
        """The windows, where every channel has spoken for as long as they reach: where `detection.many` may score."""
        if not self._learned or self._windows is None or self.ring.spoken < self._point.questions.history:
            return None
        return self._windows

    def append(self, row: Floats, at_ms: int) -> Ring:
        """Append a row in which every channel spoke, without scoring it: `settle` has to follow."""
        self.ring.ages = self.ring.no_ages
        self.ring.push(row, at_ms, spoken=True)
        return self.ring

    def state(self) -> JudgeState:
        """All that the next decision depends on."""
        decisions = self.decisions
        return JudgeState(
            episode=decisions.episode,
            explanation=decisions.explanation,
            jumped=decisions.jumped,
            excursion=decisions.excursion,
            second=decisions.second,
            score=self.score,
            fresh=self.ring.fresh,
            calm=self.ring.calm,
            quiet=self.turns.quiet,
            block_peak=self.block_peak if math.isfinite(self.block_peak) else None,
            baselines=[_levels(point) for point in self._points],
            rows=packed(self.ring.rows),
            times=packed(self.ring.times),
            ages=packed(self.ring.ages),
        )

    def take_over(self, state: JudgeState) -> None:
        """From another model only the open anomaly: its rows are in other units."""
        self.decisions.take_over(state.episode, state.explanation)
        self.score = state.score

    def resume(self, state: JudgeState) -> None:
        """Go on from where the same model was left."""
        decisions = self.decisions
        decisions.episode, decisions.explanation, self.score = state.episode, state.explanation, state.score
        decisions.jumped, decisions.excursion, decisions.second = state.jumped, state.excursion, state.second
        self.block_peak = math.inf if state.block_peak is None else state.block_peak
        k, count = len(self._model.metrics), len(state.times) // 8
        for point, levels in zip(self._points, state.baselines, strict=True):
            if point is not None:
                point.levels.accepted = [Baseline(wide(anchor, k), wide(now, k)) for anchor, now in levels]
        self.ring.replace(table(state.rows, count, k), wide(state.times, count))
        self.ring.ages = wide(state.ages, k)
        self.ring.fresh, self.ring.calm, self.turns.quiet = state.fresh, state.calm, state.quiet

    def _row(self, row: Floats | Rows, at_ms: int, place: int, found: Verdicts, *, spoken: bool) -> None:
        ring, point = self.ring, self._point
        ring.push(row, at_ms, spoken=spoken)
        if self._windows is not None:
            self._windows.step(ring.table, ring.end)
        elif min(ring.fresh, ring.calm) > point.questions.history:
            self._windows = Windows(point.questions, ring.rows, point.centres)
        self.settle(self._score(), place, found)

    def _score(self) -> float:
        """The score of the last row."""
        ring, point = self.ring, self._point
        if self._windows is not None:
            self._windows.answer(ring.rows, ring.spoken)
            return self._windows.score
        return float(point.questions.scores(ring.rows, 1, ring.fresh - 1, ring.calm - 1, point.centres)[0])

    def settle(self, score: float, place: int, found: Verdicts) -> None:
        """Decide what the score of the row just appended means."""
        ring = self.ring
        found.scores[place] = score
        if score > 1 or not self.decisions.idle:
            self._decide(np.array([score]), Stretch(ring.rows, ring.times), np.array([place]), found)
        self._remember(score, score)
        if self._turned():
            found.turns.append(place)
        if not ring.fresh % FOLLOW_ROWS:
            self._follow(ring.rows)

    def _turned(self) -> bool:
        """Is the row just appended a change point?"""
        ring, point, windows = self.ring, self._point, self._windows
        if windows is not None:
            return self.turns.step(1, differ=windows.change > self._turn_limit and not ring.fresh % LOOK_ROWS)
        return bool(self.turns.find(ring.rows, 1, ring.fresh - 1, point.centres[0], point.questions))

    def _rows(self, rows: Rows, times: Ints, places: Ints, found: Verdicts) -> None:
        """Judge rows in blocks between which the centre may move."""
        ring, point, self._windows = self.ring, self._point, None
        first, done, count = len(ring.rows), 0, len(rows)
        seen = Stretch(np.concatenate((ring.rows, rows)), np.concatenate((ring.times, times)))
        movements = point.questions.movements(seen.rows, count, ring.fresh, ring.calm)
        while done < count:
            stop = min(done + FOLLOW_ROWS - ring.fresh % FOLLOW_ROWS, count)
            part = seen.upto(first + stop)
            levels = point.questions.levels(part.rows, stop - done, ring.fresh, point.centres)
            scores = largest(levels, movements[done - count : stop - count or None])
            done += self._block(scores, part, places[done:stop], found)
            if not ring.calm:
                movements = point.questions.movements(seen.rows, count - done, ring.fresh, ring.calm)
        ring.replace(seen.rows, seen.times)

    def _block(self, scores: Floats, seen: Stretch, places: Ints, found: Verdicts) -> int:
        """Decide what the scores of the last rows `seen` mean; how many rows it took, fewer when an alarm was over."""
        ring, point = self.ring, self._point
        ring.pass_by(len(scores))
        kept = self._decide(scores, seen, places, found)
        rows = seen.rows[: len(seen.rows) - len(scores) + kept]
        found.scores[places[:kept]] = scores[:kept]
        judged = scores[:kept][~np.isnan(scores[:kept])]
        self._remember(float(scores[:kept].max()), float(judged[-1]) if len(judged) else math.nan)
        turns = self.turns.find(rows, kept, ring.fresh - kept, point.centres[0], point.questions)
        found.turns.extend(int(places[row]) for row in turns)
        if not ring.fresh % FOLLOW_ROWS:
            self._follow(rows)
        return kept

    def _decide(self, scores: Floats, seen: Stretch, places: Ints, found: Verdicts) -> int:
        """How many of the last rows `seen` are decided about: those up to the end of an alarm, or all."""
        if self.decisions.idle and not (scores > 1).any():
            return len(scores)
        for row, score in enumerate(scores.tolist()):
            ahead = len(scores) - 1 - row
            upto = seen.upto(len(seen.rows) - ahead)
            if not self.decisions.is_news(score):
                self.decisions.pass_by(score, int(upto.times[-1]))
                continue
            change = self.decisions.look(score, self._scene(upto, ahead), self._point.questions, int(places[row]))
            if change is None:
                continue
            found.changes.append(change)
            if change.phase is Phase.CLEARED:
                self._over(upto.rows, ahead, new_level=change.new_level)
                return row + 1
        return len(scores)

    def _over(self, rows: Rows, ahead: int, *, new_level: bool) -> None:
        """An alarm is over at the last of `rows`; the rows `ahead` of it are to be scored anew."""
        if new_level:
            self._point.levels.accept(rows)
        self.ring.pass_by(-ahead)
        self.ring.calm = 0
        self._windows = None

    def _remember(self, peak: float, last: float) -> None:
        self.block_peak = max(self.block_peak, math.inf if math.isnan(peak) else peak)
        if not math.isnan(last):
            self.score = last

    def _scene(self, seen: Stretch, ahead: int) -> Scene:
        """The same at the last row `seen`, `ahead` of which others have passed already."""
        ring, capacity = self.ring, self.ring.capacity
        centre = self._point.levels.nearest(seen.rows).centre
        return Scene(seen.rows[-capacity:], seen.times[-capacity:], ring.fresh - ahead, ring.calm - ahead, centre)

    def _follow(self, rows: Rows) -> None:
        """The centre moves towards a block of rows that were all clearly healthy."""
        if self.block_peak < FOLLOW_BELOW and not self.decisions.episode.active:
            self._point.levels.follow(rows)
            if self._windows is not None:
                self._windows.recentre(rows, self._point.centres)
        self.block_peak = 0.0


def _levels(point: _Point | None) -> list[tuple[bytes, bytes]]:
    return [] if point is None else [(packed(level.anchor), packed(level.centre)) for level in point.levels.accepted]
