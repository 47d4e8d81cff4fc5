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
from detection.second import Apart, Second, apart, named
from detection.state import Jumped
from detection.words import Teller, told


class Decisions:
    """Follows one machine's alarm, or what may become one, from row to row."""

    def __init__(self, model: Model, teller: Teller) -> None:
        self.episode = Episode()
        self.explanation: Explanation | None = None
        self.excursion: Excursion | None = None
        self.jumped: Jumped | None = None
        self.second = Second()
        self._model, self._settings, self._teller = model, model.settings, teller
        self._gap_ms = model.settings.window * model.cadence_ms

    @property
    def idle(self) -> bool:
        """Is there neither an alarm nor anything that may become one?"""
        return not self.episode.active and self.episode.since_ms is None

    @property
    def told_channels(self) -> list[int]:
        """The channels that people were told of since the alarm was raised."""
        return self.second.told

    def take_over(self, episode: Episode, explanation: Explanation | None) -> None:
        """Go on with what another model raised."""
        self.episode, self.explanation = episode, explanation
        if explanation is not None:
            self.second.tell(named(explanation, self._model.metrics), None)
        self.interrupt()

    def interrupt(self) -> None:
        """The data has a hole: what was about to be told or over starts again."""
        self.episode.interrupt()
        self.second.since_ms = None

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
        second = self._second(score, scene, questions) if self.episode.active else None
        phase = self.episode.step(
            score, at_ms, self._settings, back=back, wait_ms=self._wait_ms(), another=second is not None
        )
        return None if phase is None else self._change(phase, score, scene, questions, row, second)

    def _second(self, score: float, scene: Scene, questions: Questions) -> Apart | None:
        """Another fault beside the one that was told, when there has been one for long enough."""
        if math.isnan(score):
            return None
        settings, found = self._settings, apart(questions, scene, self.second.told)
        jumps = found is not None and found.kind is Kind.JUMP
        lasting_ms = settings.min_duration_ms + (self._gap_ms if jumps else 0)
        gone = all(each.is_gone(questions, settings, scene) for each in self._told())
        # What a fault leaves behind is no second one, unless it is critical by itself.
        limit = settings.critical if gone else 1.0
        return found if self.second.step(found, int(scene.times[-1]), limit=limit, lasting_ms=lasting_ms) else None

    def _told(self) -> list[Excursion]:
        """What the alarm is about, at its worst: the fault that was raised, and a second one that was told."""
        return [each for each in (self.excursion, self.second.worst) if each is not None]

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
        self.excursion = Excursion.at(questions, scene, None if self.idle else self.excursion)
        if score < self._settings.clear_below:
            return True
        return all(each.is_over(questions, self._settings, scene) for each in self._told())

    def _change(
        self, phase: Phase, score: float, scene: Scene, questions: Questions, row: int, second: Apart | None
    ) -> Change:
        if phase is not Phase.UPDATED:
            self.second = Second()
        if phase is Phase.RAISED:
            self.explanation = None
        if phase is not Phase.CLEARED or self.explanation is None:
            self.explanation = self._explained(scene, questions, second)
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

    def _explained(self, scene: Scene, questions: Questions, second: Apart | None) -> Explanation:
        """What there is to say now, a second fault included."""
        who, metrics = self._teller, self._model.metrics
        found = findings(self._model, questions, scene, who.units)
        since_ms = self._true_since(found, scene)
        if second is not None and second.leading not in named(found, metrics):
            # Too small beside the first fault to be named, or an answer to another question: it is told by itself.
            found = findings(self._model, questions, scene, who.units, (second.kind, second.shares))
            since_ms = self.second.since_ms or since_ms
        self.second.tell(named(found, metrics), second)
        return told(found, device=who.device, since_ms=since_ms, tz=who.tz)

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
