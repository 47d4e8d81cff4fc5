"""The report says what was not kept, and which faults this machine could not have."""

from __future__ import annotations

from typing import Any

import pytest

from tests.faults import campaign, report
from tests.faults.account import Alarms, Beyond, Count, Mails
from tests.faults.campaign import FAULTS, Result, Run, chosen
from tests.faults.fault import Hit
from tests.faults.gear import Gear

WHY: dict[Gear, str] = {"wire": "there is no /dev/net/tun"}


def result(**changed: Any) -> Result:
    """Of one fault, with nothing lost."""
    run = Run(FAULTS[0], Hit(40, "pid 7"), Count(readings=100), recovery_s=2.5)
    ledger = {"flow-1": {"sent": 100, "stored": 100, "rejected": 0, "lost": 0, "pending": 0}}
    whole, alarms, mails = Count(readings=100), Alarms(0, [], [], []), Mails(0, [], [], [], {})
    return Result([run], whole, alarms, mails, ledger, seconds=9.0, answers={201: 8, 0: 2})._replace(**changed)


def test_each_fault_is_told_with_what_it_hit_and_its_recovery() -> None:
    table = report.table(result())
    row = next(line for line in table.splitlines() if line.startswith(FAULTS[0].kind))
    assert row.removeprefix(FAULTS[0].kind).split() == ["1", "1", "40", "100", "0", "0", "0", "2.5", "2.5"]
    assert "answered nothing 2 times, 201 8 times" in table
    assert "NOT KEPT" not in table


def test_what_an_embedded_broker_took_and_nobody_has_is_not_kept() -> None:
    assert "NOT KEPT" in report.table(result(beyond=Beyond(acknowledged=100, missing=1)))


def test_what_a_killed_mosquitto_had_in_memory_alone_is_told_and_excused() -> None:
    table = report.table(result(beyond=Beyond(acknowledged=100, missing=1, excused=2)))
    assert "1 were lost with its memory, which died 2 times" in table
    assert "NOT KEPT" not in table


def test_who_does_not_count_is_known_by_what_is_stored_alone() -> None:
    silent = {"web-2": {"sent": None, "stored": 100, "rejected": 0, "lost": None, "pending": None}}
    assert result(ledger=silent).complaints == []


def test_what_cannot_be_had_here_is_left_out_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (campaign, report):
        monkeypatch.setattr(module, "obstacles", lambda: WHY)
    assert "wire" not in {fault.needs for fault in chosen(300, "mosquitto", 1)}
    kinds = sum(fault.needs == "wire" for fault in FAULTS)
    assert f"left out, {kinds} kinds that need a wire: there is no /dev/net/tun" in report.table(result())
