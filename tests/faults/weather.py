"""A bad wire between a device in a network of its own and the broker: what happens to single packets."""

from __future__ import annotations

import asyncio
from functools import partial

from tests.faults.fault import Fault, Hit
from tests.faults.plant import Plant
from tests.faults.wire import FAIR, Weather

# TCP waits for 0.2 s, then twice as long each time: several of these fall into it.
_LASTS_S = (1.5, 4.0)

_BAD = {
    "loses one packet in five": Weather(lost=0.2),
    "is slow by 0.4 s": Weather(delay_s=0.4),
    "lets packets overtake each other": Weather(varies_s=0.3),
    "doubles every third packet": Weather(doubled=0.33),
    "flips a bit of every tenth packet": Weather(flipped=0.1),
    "is dead": Weather(lost=1.0),
    "does all of that": Weather(lost=0.1, doubled=0.2, flipped=0.05, delay_s=0.1, varies_s=0.2),
}


async def bad_weather(plant: Plant, weather: Weather) -> Hit:
    """For a while."""
    under_way, packets, harmed = plant.in_flight("wire"), plant.wire.packets, plant.wire.harmed
    plant.wire.weather = weather
    await asyncio.sleep(plant.rng.uniform(*_LASTS_S))
    plant.wire.weather = FAIR
    carried, harmed = plant.wire.packets - packets, plant.wire.harmed - harmed
    return Hit(under_way, f"{carried} packets, {harmed} of them lost, doubled, damaged or overtaken")


WEATHER = tuple(
    Fault(f"wire {how}", partial(bad_weather, weather=weather), needs="wire") for how, weather in _BAD.items()
)
