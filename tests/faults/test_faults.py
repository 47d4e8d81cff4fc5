"""A short selection of the faults, on both brokers: nothing lost, nothing doubled, no alarm missed, one mail for each.

The long run is `make bench-faults`.
"""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

from tests.faults.campaign import FAULTS, campaign, chosen
from tests.faults.field import Broker
from tests.faults.plant import Plant
from tests.faults.report import table

# One of every sort, and of the kills those in the moments that cost a promise if they are handled wrongly.
SELECTION: dict[Broker, tuple[str, ...]] = {
    "embedded": (
        "gateway dies between its outbox's commit and acknowledging",
        "historian dies between commit and watermark",
        "anomaly-detection dies between commit and publish",
        "notification dies between the server's 250 and its commit",
        "api dies between PUBACK and stored",
        "broker dies between its log's commit and PUBACK",
        "PostgreSQL killed",
        "line to the database breaking",
    ),
    "mosquitto": (
        "validation dies between PUBACK and acknowledging its input",
        "broker killed",
        "everything killed at once",
        "gateway and its site's broker killed at once",
        "database read-only",
        "mail server says 451",
        "devices reboot",
        "migration interrupted",
    ),
}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("broker", [pytest.param("embedded"), pytest.param("mosquitto", marks=pytest.mark.mosquitto)])
async def test_what_was_sent_is_stored_once_and_each_alarm_is_mailed(
    tmp_path: Path, broker: Broker, caplog: pytest.LogCaptureFixture
) -> None:
    # Every reconnection of a sender would be told.
    caplog.set_level(logging.CRITICAL)
    by_kind = {fault.kind: fault for fault in FAULTS}
    async with Plant(tmp_path, broker, seed=5) as plant:
        result = await campaign(plant, [by_kind[kind] for kind in SELECTION[broker]], print)
    print(table(result))
    assert result.complaints == []
    assert all(run.hit.struck for run in result.runs), "a fault hit nothing"


def test_the_same_seed_strikes_in_the_same_order() -> None:
    order = [fault.kind for fault in chosen(200, "mosquitto", 7)]
    assert order == [fault.kind for fault in chosen(200, "mosquitto", 7)]
    assert order != [fault.kind for fault in chosen(200, "mosquitto", 8)]
    assert len(order) == 200


def test_every_kind_has_a_name_of_its_own() -> None:
    assert len({fault.kind for fault in FAULTS}) == len(FAULTS)
