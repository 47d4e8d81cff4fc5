"""An alarm about sensors: raised when one stands still, told again when more do, cleared when all move again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

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


class Standing(msgspec.Struct, frozen=True):
    """At which value (engineering unit) a channel stands still, and since when."""

    value: float
    since_ms: int


class SensorAlarm(msgspec.Struct, omit_defaults=True):
    """Which sensors stand still, since when, and what was said about it; empty while all move.

    `machines`: channels that the machine holds still, which is no matter of their sensors.
    """

    stuck: dict[int, Standing] = {}
    machines: list[int] = []
    since_ms: int = 0
    explanation: Explanation | None = None
    # What has just been cleared, and until when (data time) the same again is not told anew.
    lately: list[int] = []
    quiet_until_ms: int = 0
    told: bool = False

    def step(self, standing: Mapping[int, Standing], at_ms: int) -> Phase | None:
        """What it changes that these sensors, by their channels, stand still at `at_ms`."""
        before = self.stuck
        self.stuck = {channel: before.get(channel, still) for channel, still in standing.items()}
        if not self.stuck:
            return self._over(list(before), at_ms) if before or self.told else None
        if self.stuck.keys() <= before.keys():
            return None
        if self.told:
            return Phase.UPDATED
        if at_ms < self.quiet_until_ms and self.stuck.keys() <= set(self.lately):
            return None
        self.since_ms, self.told = min(still.since_ms for still in self.stuck.values()), True
        return Phase.RAISED

    def renumbered(self, channels: Sequence[int | None]) -> SensorAlarm:
        """The same where channel number i was `channels[i]` here; of the others nothing is known any more."""
        here = {before: now for now, before in enumerate(channels) if before is not None}
        return msgspec.structs.replace(
            self,
            stuck={here[channel]: still for channel, still in self.stuck.items() if channel in here},
            machines=[here[channel] for channel in self.machines if channel in here],
            lately=[here[channel] for channel in self.lately if channel in here],
        )

    def _over(self, channels: list[int], at_ms: int) -> Phase | None:
        """A sensor that sticks, moves and sticks again is told once: the next time after an hour of rest."""
        self.lately, self.quiet_until_ms = sorted({*channels, *self.lately}), at_ms + _QUIET_MS
        told, self.told = self.told, False
        return Phase.CLEARED if told else None


def explained(model: Model, stuck: Mapping[int, Standing], scene: Scene, teller: Teller) -> Explanation:
    """What there is to say about the sensors that stand still, by their channels."""
    device, units, tz = teller
    first, still = next(iter(stuck.items()))
    name, since_ms = model.metrics[first], still.since_ms
    if len(stuck) == len(model.metrics) > 1:
        since_ms = max(each.since_ms for each in stuck.values())
        sentence = told_of_all_sensors(device=device, since_ms=since_ms, tz=tz)
    else:
        sentence = told_of_sensor(
            STUCK, name, device=device, since_ms=since_ms, tz=tz, value=still.value, unit=units.get(name, "")
        )
    return Explanation(
        kind=Kind.STUCK,
        sensors=[_sensor(model, channel, each.value, scene, units, len(stuck)) for channel, each in stuck.items()],
        window_ms=scene.times.tolist(),
        window=window_of(model, scene, list(stuck)),
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
