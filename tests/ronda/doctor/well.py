"""An installation in which nothing is wrong, for tests that break one thing of it."""

from __future__ import annotations

from typing import Any

import msgspec

from contract.events import AgentState, AgentStatus
from ronda.doctor.facts import Broker, BrokerCount, Disk, Door, Facts, Processes, Seen, Store
from ronda.doctor.finding import Finding
from ronda.doctor.run import findings

NOW_MS = 1_763_800_000_000
MINUTE_MS = 60_000
AGENTS = ("acquisition", "validation", "historian")


def status(agent: str, state: AgentState = AgentState.ONLINE, partitions: str = "0-63") -> AgentStatus:
    return AgentStatus(agent=agent, instance=partitions, state=state, since_ms=NOW_MS - 5, partitions=partitions)


def seen(**changes: Any) -> Seen:
    """A live pump."""
    pump = Seen(site="p", device="pump", created_at_ms=0, measured_at_ms=NOW_MS - 900, received_at_ms=NOW_MS - 800)
    return msgspec.structs.replace(pump, **changes)


WELL = Facts(
    now_ms=NOW_MS,
    agents=AGENTS,
    processes=Processes(alive=True),
    disk=Disk(folder="data", free=50 << 30, total=100 << 30),
    store=Store(door=Door(where="PostgreSQL"), version="0006", wanted="0006", seen=[seen()]),
    broker=Broker(
        door=Door(where="mqtt://here"),
        certificate_ends_ms=NOW_MS + 400 * 86_400_000,
        statuses=[status(agent) for agent in AGENTS],
        count=BrokerCount(at_ms=NOW_MS, waiting_for={"historian": 3}, dropped={"dropped_slow": 0}),
    ),
    api=Door(where="http://here"),
    registry=Door(where="sqlite"),
    mail=Door(where="localhost:25"),
    most_quarantined=1000,
)


def broken(**changes: Any) -> list[Finding]:
    """What the doctor says once these facts are otherwise: `store__gaps=…` replaces `store.gaps`."""
    facts = WELL
    for name, value in changes.items():
        part, _, field = name.partition("__")
        new = msgspec.structs.replace(getattr(facts, part), **{field: value}) if field else value
        facts = msgspec.structs.replace(facts, **{part: new})
    return findings(facts)
