"""An alarm about sensors: raised when one stands still, told again when more do, cleared when all move again."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from detection.episode import Phase
from detection.explain import Explanation, Scene, Sensor, window_of
from detection.kinds import Kind
from detection.model import Model
from detection.rows import STEPS
from detection.sensor_words import told_of_all_sensors, told_of_sensor
from detection.sensors import STUCK
from detection.words import Teller

_QUIET_MS = 3_600_000


class SensorAlarm(msgspec.Struct):
    """Which channels stand still and at which value, since when, and what was said about it; empty while all move."""

    stuck: dict[int, float] = {}
    since_ms: int = 0
    explanation: Explanation | None = None
    # What has just been cleared, and until when (data time) the same again is not told anew.
    lately: list[int] = []
    quiet_until_ms: int = 0
    told: bool = False

    def step(self, values: Mapping[int, float], at_ms: int) -> Phase | None:
        """What it changes that these channels stand still at `at_ms`; `values`: channel → at what, NaN if not heard."""
        before = self.stuck
        self.stuck = {channel: before.get(channel, value) for channel, value in values.items()}
        if self.stuck.keys() <= before.keys():
            return self._over(list(before), at_ms) if before and not self.stuck else None
        if self.told:
            return Phase.UPDATED
        if at_ms < self.quiet_until_ms and self.stuck.keys() <= set(self.lately):
            return None
        self.since_ms, self.told = at_ms, True
        return Phase.RAISED

    def _over(self, channels: list[int], at_ms: int) -> Phase | None:
        """A sensor that sticks, moves and sticks again is told once: the next time after an hour of rest."""
        self.lately, self.quiet_until_ms = sorted({*channels, *self.lately}), at_ms + _QUIET_MS
        told, self.told = self.told, False
        return Phase.CLEARED if told else None


def explained(model: Model, values: Mapping[int, float], scene: Scene, teller: Teller, since_ms: int) -> Explanation:
    """What there is to say about the channels that stand still, `values`: channel → at which value."""
    device, units, tz = teller
    first, value = next(iter(values.items()))
    name = model.metrics[first]
    if len(values) == len(model.metrics) > 1:
        sentence = told_of_all_sensors(device=device, since_ms=since_ms, tz=tz)
    else:
        sentence = told_of_sensor(
            STUCK, name, device=device, since_ms=since_ms, tz=tz, value=value, unit=units.get(name, "")
        )
    return Explanation(
        kind=Kind.STUCK,
        sensors=[_sensor(model, channel, value, scene, units, len(values)) for channel, value in values.items()],
        window_ms=scene.times.tolist(),
        window=window_of(model, scene, list(values)),
        since_ms=since_ms,
        sentence=sentence,
    )


def _sensor(model: Model, channel: int, value: float, scene: Scene, units: Mapping[str, str], among: int) -> Sensor:
    centre = model.centre[channel] + model.deviation[channel] * float(scene.baseline[channel]) / STEPS
    low, high = model.deciles[channel][0], model.deciles[channel][-1]
    return Sensor(
        name=model.metrics[channel],
        unit=units.get(model.metrics[channel], ""),
        share=round(1 / among, 4),
        seen=value,
        expected=centre,
        expected_low=low,
        expected_high=high,
    )
