"""What the scores of one machine mean: an alarm begins, goes on, is worse or over, and what is said about it."""

from __future__ import annotations

import math

from detection.baseline import mean_level
from detection.change import Change
from detection.episode import Episode, Phase
from detection.explain import Explanation, Findings, Scene, findings
from detection.kinds import Kind
from detection.model import Model
from detection.questions import Questions
from detection.recovery import Excursion
from detection.rows import STEPS
from detection.state import Jumped
from detection.words import Teller, told


class Decisions:
    """Follows one machine's alarm, or what may become one, from row to row."""

    def __init__(self, model: Model, teller: Teller) -> None:
        self.episode = Episode()
        self.explanation: Explanation | None = None
        self.excursion: Excursion | None = None
        self.jumped: Jumped | None = None
        self._model, self._settings, self._teller = model, model.settings, teller
        self._gap_ms = model.settings.window * model.cadence_ms

    @property
    def idle(self) -> bool:
        """Is there neither an alarm nor anything that may become one?"""
        return not self.episode.active and self.episode.since_ms is None

    def is_news(self, score: float) -> bool:
        """Does a row with this score need a look at all its answers? What is inside, without an alarm, does not."""
        return self.episode.active or score > 1

    def pass_by(self, score: float, at_ms: int) -> None:
        """A row that is no news: what may have become an alarm is over."""
        self.episode.step(score, at_ms, self._settings)

    def look(self, score: float, scene: Scene, questions: Questions, row: int) -> Change | None:
        """What the score of the scene's last row changes, if anything; `row` is its number in the block."""
        at_ms = int(scene.times[-1])
        back = self._is_back(score, scene, questions)
        phase = self.episode.step(score, at_ms, self._settings, back=back, wait_ms=self._wait_ms())
        return None if phase is None else self._change(phase, score, scene, questions, row)

    def _wait_ms(self) -> int:
        """A jump is news once the machine has stayed where it went for a window: what dips for seconds comes back.

        One that is twice as far as critical needs no such proof.
        """
        settings, worst = self._settings, self.excursion
        if worst is None or worst.kind is not Kind.JUMP or not settings.min_duration_ms:
            return 0
        return self._gap_ms if worst.peak < 2 * settings.critical else 0

    def _is_back(self, score: float, scene: Scene, questions: Questions) -> bool:
        """Follow the alarm, or what may become one, to its worst, and say whether that is over."""
        if math.isnan(score):
            return False
        worst = Excursion.at(questions, scene, None if self.idle else self.excursion)
        self.excursion = worst
        inside = score < self._settings.clear_below
        return inside or worst.is_over(questions, self._settings, scene)

    def _change(self, phase: Phase, score: float, scene: Scene, questions: Questions, row: int) -> Change:
        if phase is Phase.RAISED:
            self.explanation = None
        if phase is not Phase.CLEARED or self.explanation is None:
            who = self._teller
            found = findings(self._model, questions, scene, who.units)
            self.explanation = told(found, device=who.device, since_ms=self._true_since(found, scene), tz=who.tz)
        if phase is Phase.RAISED:
            self.jumped = self._jump(self.explanation, scene, questions)
        return Change(
            phase=phase,
            row=row,
            severity=self.episode.severity,
            score=score,
            peak_score=self.episode.peak,
            since_ms=self.episode.since_ms or 0,
            explanation=self.explanation,
            new_level=phase is Phase.CLEARED and self._settled_elsewhere(scene, questions),
        )

    def _true_since(self, found: Findings, scene: Scene) -> int:
        """Since when the sentence is true: an open anomaly may go on in another sensor than it began with."""
        before = self.explanation
        if before is None:
            return self.episode.since_ms or 0
        same = (before.kind, before.sensors[0].name) == (found.kind, found.sensors[0].name)
        return before.since_ms if same else int(scene.times[-1])

    def _jump(self, why: Explanation, scene: Scene, questions: Questions) -> Jumped | None:
        """What to look at when a jump is over: a drifting channel that stays where it went has not come back."""
        if why.kind is not Kind.JUMP:
            return None
        channel = self._model.metrics.index(why.sensors[0].name)
        shift, _ = questions.jump_shift(scene.undisturbed[-questions.history - 1 :])
        by = round(float(shift[-1, channel]) * STEPS)
        now = int(mean_level(scene.rows[-self._settings.window :], scene.baseline)[channel])
        return Jumped(channel, now - by, by)

    def _settled_elsewhere(self, scene: Scene, questions: Questions) -> bool:
        window = scene.rows[-self._settings.window :]
        if questions.level(window, scene.baseline)[-1] > self._settings.clear_below:
            return True
        if self.jumped is None:
            return False
        now = int(mean_level(window, scene.baseline)[self.jumped.channel])
        return abs(now - self.jumped.before) > abs(self.jumped.by) / 2
