"""Can the whole chain do its work, and keep up with it? What is missing or behind by name: where to look."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec

from cloud.api.fleet import Fleet
from cloud.api.presence import Presence
from contract.errors import RondaError

# A probe is asked every few seconds and gives up itself after about ten.
_WITHIN_S = 3.0


# Where it was left out on purpose, models wait for nobody.
JUDGE = "anomaly-detection"


class Ready(msgspec.Struct, frozen=True, kw_only=True):
    """`missing` names what is down or not there yet: `database`, `broker`, `agent …`, `champion …`.

    `behind` names each queue that is so full that only who cannot wait is let in: which, how many of how many.
    `degraded` names what is down and can be done without: `redis` (limits then count per process, and requests with an
    `Idempotency-Key` are refused).
    """

    ready: bool
    missing: list[str]
    behind: list[str] = []
    degraded: list[str] = []

    @property
    def why_not(self) -> str:
        """In one line."""
        told = {"missing": self.missing, "behind": self.behind}
        return "; ".join(f"{what}: {', '.join(names)}" for what, names in told.items() if names)


class Readiness:
    """Asks each of them, within a bounded time."""

    def __init__(
        self,
        presence: Presence,
        fleet: Fleet,
        *,
        broker_up: Callable[[], bool],
        database: Callable[[], Awaitable[None]],
        agents: Sequence[str],
        behind: Callable[[], list[str]],
        redis: Callable[[], Awaitable[None]] | None = None,
    ) -> None:
        self._presence = presence
        self._fleet = fleet
        self._broker_up = broker_up
        self._database = database
        self._agents = agents
        self._behind = behind
        self._redis = redis

    async def look(self) -> Ready:
        """The state of now."""
        missing = [] if await _answers(self._database) else ["database"]
        missing += [] if self._broker_up() else ["broker"]
        missing += [f"agent {name}" for name in self._presence.missing(self._agents)]
        if "database" not in missing:
            missing += [f"champion {name}" for name in await self._champions()]
        degraded = [] if self._redis is None or await _answers(self._redis) else ["redis"]
        behind = self._behind()
        return Ready(ready=not (missing or behind), missing=missing, behind=behind, degraded=degraded)

    async def _champions(self) -> Sequence[str]:
        try:
            async with asyncio.timeout(_WITHIN_S):
                return await self._fleet.without_champion(loaded=JUDGE in self._agents)
        except (RondaError, TimeoutError):
            return ["unknown: the database does not answer"]


async def _answers(probe: Callable[[], Awaitable[None]]) -> bool:
    try:
        async with asyncio.timeout(_WITHIN_S):
            await probe()
    except (RondaError, TimeoutError, OSError):
        return False
    return True
