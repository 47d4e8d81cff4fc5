"""What is wrong with the parts themselves: processes, database, disk, broker, agents, and those we depend on."""

from __future__ import annotations

from collections.abc import Iterator

from contract.events import AgentState
from contract.identity import PARTITIONS
from ronda.doctor.facts import Facts
from ronda.doctor.finding import Finding

_DAY_MS = 86_400_000
# A month is time enough to renew a certificate.
_ENDS_SOON_MS = 30 * _DAY_MS
# PostgreSQL stops when its disk is full: an hour of readings of a large site, or a twentieth of a small disk.
_FREE_BYTES, _FREE_SHARE = 1 << 30, 0.05
# Clocks of servers are kept within milliseconds; readings are refused from five minutes on.
_CLOCK_MS = 5000
# A second's work of the chain is some thousands; what waits longer says that the agent does not keep up.
_WAITING = 5000


def processes(facts: Facts) -> Iterator[Finding]:
    """Is each part running, and did it stay up?"""
    if (seen := facts.processes) is None:
        return
    if not seen.alive:
        yield Finding(
            check="parts", about="ronda up", what="it is not running any more, though it never said good-bye",
            todo="start it again: ronda up",
        )  # fmt: skip
    for part in seen.missing:
        yield Finding(
            check="parts", about=part, what="its process is not there",
            todo=f"it is started again by itself within seconds; if not, logs/{part}.err and logs/{part}.jsonl say why",
        )  # fmt: skip
    for death in seen.deaths:
        yield Finding(
            check="parts", about=death.part, what=f"it died {death.times} times within the last hour",
            since_ms=death.last_ms, todo=f"logs/{death.part}.err and logs/{death.part}.jsonl say why",
        )  # fmt: skip


def database(facts: Facts) -> Iterator[Finding]:
    """Does it answer, is it of this version, and is its clock right?"""
    store = facts.store
    if store.door.error:
        yield Finding(
            check="database", about=store.door.where, what=store.door.error,
            todo="start it, or correct DATABASE_URL; devices keep their readings meanwhile",
        )  # fmt: skip
        return
    if store.version != store.wanted:
        newer = (store.version or "") > store.wanted
        yield Finding(
            check="database", about=store.door.where, what=f"its schema is {store.version}, ours is {store.wanted}",
            todo="update this program: a newer one uses the database" if newer else "start any agent: it migrates",
        )  # fmt: skip
    elif store.missing_indexes:
        yield Finding(
            check="database", about=store.door.where, what=f"missing indexes: {', '.join(store.missing_indexes)}",
            todo="restore a backup, or make them by hand",
        )  # fmt: skip
    if abs(store.ahead_ms) > _CLOCK_MS:
        yield Finding(
            check="clocks", about=store.door.where, what=f"its clock is {store.ahead_ms / 1000:+,.0f} s from ours",
            todo="let both machines keep their time (NTP)",
        )  # fmt: skip


def disk(facts: Facts) -> Iterator[Finding]:
    """Is there room?"""
    if (seen := facts.disk) and seen.free < min(_FREE_BYTES, seen.total * _FREE_SHARE):
        yield Finding(
            check="disk", about=seen.folder, what=f"{seen.free / 1e6:,.0f} MB are free of {seen.total / 1e9:,.0f} GB",
            todo="make room or move the folder to a larger disk: a full one stops the database and the broker",
        )  # fmt: skip


def broker(facts: Facts) -> Iterator[Finding]:
    """Does it answer, for how long is its certificate good, and who does not keep up?"""
    seen = facts.broker
    if seen.door.error:
        yield Finding(
            check="broker", about=seen.door.where, what=seen.door.error,
            todo="start it, or correct MQTT_URL; devices keep their readings meanwhile",
        )  # fmt: skip
    if (ends := seen.certificate_ends_ms) is not None and ends < facts.now_ms + _ENDS_SOON_MS:
        days = (ends - facts.now_ms) // _DAY_MS
        yield Finding(
            check="certificate", about=seen.door.where, since_ms=ends if days < 0 else None,
            what="it has expired: devices refuse to connect" if days < 0 else f"it ends in {days} days",
            todo="ronda certs, and start the broker again",
        )  # fmt: skip
    for service, waiting in seen.count.waiting_for.items() if seen.count else ():
        if waiting > _WAITING:
            yield Finding(
                check="queues", about=service, what=f"{waiting:,} messages wait for it at the broker",
                since_ms=seen.count.at_ms if seen.count else None,
                todo="if it stays so the agent does not keep up: look into its log, or split its partitions",
            )  # fmt: skip
    for why, dropped in seen.count.dropped.items() if seen.count else ():
        if dropped:
            yield Finding(
                check="queues", about="broker", what=f"{why}: {dropped:,} since it started",
                todo="a bound was reached: see which party is slow or speaks too much in logs/hub.jsonl",
            )  # fmt: skip


def agents(facts: Facts) -> Iterator[Finding]:
    """Is there an instance online for each partition of each agent?"""
    if facts.broker.door.error:
        return
    for name in facts.agents:
        known = [status for status in facts.broker.statuses if status.agent == name]
        online = [status for status in known if status.state is AgentState.ONLINE]
        left = PARTITIONS - len(set().union(*(owned(status.partitions) for status in online)))
        if not online:
            since = max((status.since_ms for status in known), default=None)
            yield Finding(
                check="agents", about=name, what="it is offline" if known else "it never announced itself",
                since_ms=since, todo=f"start it: ronda up, or ronda agent {name}; its log says why it went",
            )  # fmt: skip
        elif left:
            yield Finding(
                check="agents", about=name, what=f"nobody works on {left} of {PARTITIONS} partitions",
                todo=f"start it for the others: ronda agent {name} --partitions …",
            )  # fmt: skip


def others(facts: Facts) -> Iterator[Finding]:
    """The API, the registry and the mail server: do they answer?"""
    for check, door, todo in (
        ("api", facts.api, "start `ronda up` or `ronda api`; logs/web.err says why it does not stay"),
        ("registry", facts.registry, "start it, or correct MLFLOW_TRACKING_URI; judging goes on, learning waits"),
        ("mail", facts.mail, "start it, or correct EMAIL_SMTP_HOST and EMAIL_SMTP_PORT: nobody is told meanwhile"),
    ):
        if door is not None and door.error:
            yield Finding(check=check, about=door.where, what=door.error, todo=todo)


def owned(partitions: str) -> set[int]:
    """`0-15` → {0 … 15}; what cannot be read owns nothing."""
    first, _, last = partitions.partition("-")
    return set(range(int(first), int(last) + 1)) if first.isdigit() and last.isdigit() else set()
