"""A bad network between the processes, by our own proxies."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial

from tests.faults.fault import Fault, Hit
from tests.faults.plant import Plant
from tests.faults.proxy import Proxy

_LASTS_S = (0.5, 2.5)
# Connections break after so many bytes in the mean: in the middle of the second batch or so.
_MEAN_BYTES = 4_000


async def _for_a_while(plant: Plant, proxies: dict[str, Proxy], do: Callable[[Proxy], int]) -> Hit:
    """Of one party, or of all at once."""
    chosen = plant.rng.choice([*(name for name, each in proxies.items() if each.connections), "all"])
    victims = list(proxies.values()) if chosen == "all" else [proxies[chosen]]
    under_way = plant.in_flight(chosen if len(proxies) > 1 else next(iter(proxies)))
    connections = sum(do(each) for each in victims)
    await asyncio.sleep(plant.rng.uniform(*_LASTS_S))
    for each in victims:
        each.heal()
    return Hit(under_way, f"{chosen}: {connections} connections")


async def on_the_bus(plant: Plant, do: Callable[[Proxy], int]) -> Hit:
    """Between a party and the broker."""
    return await _for_a_while(plant, plant.bus, do)


async def on_the_database(plant: Plant, do: Callable[[Proxy], int]) -> Hit:
    """Between a process and PostgreSQL."""
    return await _for_a_while(plant, plant.database, do)


async def on_the_web(plant: Plant, do: Callable[[Proxy], int]) -> Hit:
    """Between the HTTP client and the API."""
    return await _for_a_while(plant, {"api": plant.web}, do)


async def of_the_gateway(plant: Plant, to: str, do: Callable[[Proxy], int]) -> Hit:
    """Between the gateway and the cloud, or the broker of its own site."""
    return await _for_a_while(plant, {"gateway": plant.bus["gateway"] if to == "cloud" else plant.site.line}, do)


async def forgotten(plant: Plant, of: str) -> Hit:
    """A firewall between one process and the others loses its memory: no end of the connection ever hears of it."""
    proxies = plant.bus if of == "broker" else plant.database
    chosen = plant.rng.choice(["historian", "validation", "acquisition"] if of == "broker" else ["historian"])
    return Hit(plant.under_way, f"{chosen}: {proxies[chosen].forget()} connections")


def _stall_then_cut(proxy: Proxy) -> int:
    """Half-open, and what waited in it is never delivered."""
    held = proxy.stall()
    asyncio.get_running_loop().call_later(1.0, proxy.cut)
    return held


_BAD: dict[str, Callable[[Proxy], int]] = {
    "cut": Proxy.cut,
    "refused": Proxy.refuse,
    "half open": Proxy.stall,
    "half open, then cut": _stall_then_cut,
    "slow": lambda proxy: proxy.delay(0.15),
    "out of order": lambda proxy: proxy.reorder(0.6),
    "breaking": lambda proxy: proxy.lose(_MEAN_BYTES),
}

# On that line the gateway speaks the same protocol as on the other one.
_FEW = ("cut", "half open, then cut", "breaking")

NETWORK = (
    *(Fault(f"line to the broker {how}", partial(on_the_bus, do=do), alarms=True) for how, do in _BAD.items()),
    *(Fault(f"line to the database {how}", partial(on_the_database, do=do), alarms=True) for how, do in _BAD.items()),
    *(Fault(f"line to the API {how}", partial(on_the_web, do=do)) for how, do in _BAD.items()),
    *(Fault(f"gateway's uplink {how}", partial(of_the_gateway, to="cloud", do=do)) for how, do in _BAD.items()),
    *(Fault(f"gateway's line to its site {how}", partial(of_the_gateway, to="site", do=_BAD[how])) for how in _FEW),
    Fault("line to the broker forgotten", partial(forgotten, of="broker"), within_s=150.0, seldom=True),
    Fault("line to the database forgotten", partial(forgotten, of="database"), within_s=150.0, seldom=True),
)
