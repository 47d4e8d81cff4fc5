"""One thing is broken, and the doctor names that thing and what to do: each kind by itself."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from cloud.api.quarantine_advice import advice
from cloud.storage.quarantine import CauseOfRefusal, Totals
from contract.errors import Reason
from contract.events import AgentState
from ronda.doctor.facts import (
    BrokerCount,
    Death,
    Disk,
    Door,
    Gap,
    Mail,
    Probe,
    Processes,
    Refusal,
    Unpublished,
)
from ronda.doctor.run import told
from tests.ronda.doctor.well import AGENTS, MINUTE_MS, NOW_MS, WELL, broken, seen, status

DAY_MS = 86_400_000
GAP = Gap(site="p", device="pump", boot="b", first=7, missing=3, since_ms=NOW_MS - 20 * MINUTE_MS)
CAUSE = CauseOfRefusal(
    site="p", device="pump", stage="validation", reason="out_of_range", entries=4, first_ms=1, last_ms=NOW_MS
)
FULL = Totals(entries=900, waiting=900, bytes=1, archived=0, archives=0)
OFF = AgentState.OFFLINE
ONE_OFF = [status("acquisition"), status("validation"), status("historian", OFF)]
HALF = [status("acquisition", partitions="0-31"), *(status(agent) for agent in AGENTS[1:])]

KINDS: dict[str, tuple[dict[str, Any], str, str, str]] = {
    "ronda up was killed": ({"processes": Processes(alive=False)}, "parts", "ronda up", "not running any more"),
    "a part is missing": ({"processes": Processes(alive=True, missing=["hub"])}, "parts", "hub", "is not there"),
    "a part keeps dying": (
        {"processes": Processes(alive=True, deaths=[Death(part="web", times=4, last_ms=NOW_MS)])},
        "parts", "web", "died 4 times",
    ),
    "the disk is full": (
        {"disk": Disk(folder="data", free=10 << 20, total=100 << 30)}, "disk", "data", "10 MB are free",
    ),
    "the database is away": (
        {"store__door": Door(where="PostgreSQL", error="no answer")}, "database", "PostgreSQL", "no answer",
    ),
    "the database is older": ({"store__version": "0004"}, "database", "PostgreSQL", "0004, ours is 0006"),
    "the database is newer": ({"store__version": "0009"}, "database", "PostgreSQL", "0009, ours is 0006"),
    "an index was dropped": ({"store__missing_indexes": ["readings_pkey"]}, "database", "PostgreSQL", "readings_pkey"),
    "the database's clock": ({"store__ahead_ms": -90_000}, "clocks", "PostgreSQL", "-90 s from ours"),
    "the broker is away": ({"broker__door": Door(where="mqtt", error="refused")}, "broker", "mqtt", "refused"),
    "the certificate ends": (
        {"broker__certificate_ends_ms": NOW_MS + 5 * DAY_MS}, "certificate", "mqtt://here", "ends in 5 days",
    ),
    "the certificate ended": (
        {"broker__certificate_ends_ms": NOW_MS - 5 * DAY_MS}, "certificate", "mqtt://here", "expired",
    ),
    "an agent is offline": ({"broker__statuses": ONE_OFF}, "agents", "historian", "it is offline"),
    "an agent never came": ({"agents": [*AGENTS, "notification"]}, "agents", "notification", "never announced"),
    "partitions without anybody": ({"broker__statuses": HALF}, "agents", "acquisition", "32 of 64 partitions"),
    "an agent does not keep up": (
        {"broker__count": BrokerCount(at_ms=NOW_MS, waiting_for={"historian": 90_000}, dropped={})},
        "queues", "historian", "90,000 messages wait",
    ),
    "the broker dropped": (
        {"broker__count": BrokerCount(at_ms=NOW_MS, waiting_for={}, dropped={"dropped_slow": 7})},
        "queues", "broker", "dropped_slow: 7",
    ),
    "the API is away": ({"api": Door(where="http", error="no answer")}, "api", "http", "no answer"),
    "the registry is away": ({"registry": Door(where="mlflow", error="no answer")}, "registry", "mlflow", "no answer"),
    "the mail server is away": ({"mail": Door(where="smtp", error="no answer")}, "mail", "smtp", "no answer"),
    "the Historian is behind": (
        {"probe": Probe(reading="p.pump.b.7", waited_ms=10_000, stored=False)},
        "historian", "p.pump.b.7", "not in the store after 10.0 s",
    ),
    "a watermark is stalled": ({"store__gaps": [GAP]}, "watermarks", "p/pump", "from number 7 on"),
    "the outbox is not emptied": (
        {"store__unpublished": [Unpublished(kind="AnomalyDetectedEvent", messages=2, oldest_ms=NOW_MS - 90_000)]},
        "outbox", "AnomalyDetectedEvent", "2 were decided",
    ),
    "mails fail": (
        {"store__mails": [Mail(channel="email", failed=3, since_ms=1, receipt="550 no such user")]},
        "notifications", "email", "3 failed since the last that was delivered: 550",
    ),
    "readings are refused": ({"store__causes": [CAUSE]}, "quarantine", "p/pump", "4 refused by validation"),
    "the quarantine is full": ({"store__totals": FULL}, "quarantine", "its room", "900 entries wait, of at most 1,000"),
    "a model was refused": (
        {"store__refusals": [Refusal(site="p", device="pump", version="3", why="sha256", at_ms=NOW_MS)]},
        "models", "p/pump", "version 3 is promoted and not in use: sha256",
    ),
    "a clock is behind": (
        {"store__seen": [seen(measured_at_ms=NOW_MS - 3 * 3_600_000)]}, "clocks", "p/pump", "2 h behind",
    ),
    "a clock is ahead": ({"store__seen": [seen(measured_at_ms=NOW_MS + 60_000)]}, "clocks", "p/pump", "ahead of our"),
    "a device fell silent": (
        {"store__seen": [seen(measured_at_ms=NOW_MS - 6 * MINUTE_MS, received_at_ms=NOW_MS - 6 * MINUTE_MS)]},
        "devices", "p/pump", "silent for 6 min",
    ),
    "a device never spoke": (
        {"store__seen": [seen(measured_at_ms=None, received_at_ms=None)]}, "devices", "p/pump", "never sent",
    ),
}  # fmt: skip


def test_where_nothing_is_wrong_nothing_is_said() -> None:
    assert broken() == []
    assert list(told([])) == ["nothing is wrong"]


@pytest.mark.parametrize("kind", KINDS)
def test_each_kind_of_fault_is_named_with_what_to_do(kind: str) -> None:
    changes, check, about, what = KINDS[kind]
    [finding] = broken(**changes)
    assert (finding.check, finding.about) == (check, about)
    assert what in finding.what
    assert finding.todo
    first, second = told([finding])
    assert what in first
    assert finding.todo in second


@pytest.mark.parametrize(
    "changes",
    [
        {"store__gaps": [msgspec.structs.replace(GAP, since_ms=NOW_MS - MINUTE_MS)]},
        {"store__gaps": [msgspec.structs.replace(GAP, since_ms=None)]},
        {"store__unpublished": [Unpublished(kind="A", messages=2, oldest_ms=NOW_MS - 900)]},
        {"store__seen": [seen(measured_at_ms=NOW_MS - DAY_MS, late=True)]},
        {"store__seen": [seen(measured_at_ms=None, received_at_ms=None, created_at_ms=NOW_MS - MINUTE_MS)]},
        {"probe": Probe(reading="r", waited_ms=900, stored=True)},
        {"processes": None, "disk": None, "mail": None, "broker__count": None, "broker__certificate_ends_ms": None},
        {"broker__statuses": [*WELL.broker.statuses, status("validation", OFF, "0-3")]},
    ],
)
def test_what_passes_by_itself_or_cannot_be_seen_is_no_finding(changes: dict[str, Any]) -> None:
    assert broken(**changes) == []


def test_what_follows_from_a_broker_that_is_away_is_not_said_too() -> None:
    silent = seen(measured_at_ms=0, received_at_ms=0)
    away = Door(where="mqtt", error="refused")
    [finding] = broken(broker__door=away, broker__statuses=[], store__seen=[silent])
    assert finding.check == "broker"


def test_of_many_alike_a_person_reads_ten() -> None:
    found = broken(store__gaps=[msgspec.structs.replace(GAP, device=f"pump-{number}") for number in range(50)])
    assert len(found) == 11
    assert found[-1].what == "40 more of this kind"


def test_names_that_strangers_chose_do_nothing_to_a_terminal() -> None:
    [finding] = broken(store__refusals=[Refusal(site="p", device="x", version="1", why="\x1b[2J\n", at_ms=0)])
    assert all(line.isprintable() for line in told([finding]))


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_for_a_refusal_has_its_advice(reason: Reason) -> None:
    assert advice(reason) != advice("unheard of")
