"""The account of machines that cannot count: the numbers that the gateway's file gave them, read past the gateway."""

from __future__ import annotations

import random
from pathlib import Path

import pytest

from broker.address import MqttAddress
from contract.events import Watermark
from edge.gateway.bounds import Bounds
from edge.gateway.mapping import Limits
from edge.gateway.outbox import Outbox
from edge.gateway.rows import Arrival
from tests.faults.outbox import Numbers, OutboxFile, SiteSender

OWN, OF_A_DEVICE = "a" * 16, "9f2c41d07be3a655"
AT_MS = 1_763_800_000_000


@pytest.fixture
def outbox(tmp_path: Path) -> Outbox:
    """A gateway's, with five readings of `press-1` of which the store has two."""
    opened = Outbox(tmp_path / "outbox.sqlite", Bounds(Limits()), lambda: OWN, lambda: AT_MS)
    opened.open()
    opened.keep([Arrival("press-1", None, None, AT_MS + number, b'{"number":1}') for number in range(5)])
    opened.free([("press-1", Watermark(boot=OWN, through=1))])
    return opened


def test_what_was_given_and_what_is_stored_is_read_while_the_gateway_writes(outbox: Outbox, tmp_path: Path) -> None:
    assert OutboxFile(tmp_path / "outbox.sqlite").numbers("press-1") == Numbers(OWN, given=5, stored=2)
    outbox.close()


def test_who_counts_by_itself_has_no_number_of_the_gateway(outbox: Outbox, tmp_path: Path) -> None:
    outbox.keep([Arrival("pump-1", OF_A_DEVICE, 0, AT_MS, b'{"number":1}')])
    assert OutboxFile(tmp_path / "outbox.sqlite").numbers("pump-1") is None
    outbox.close()


def test_a_file_that_is_not_there_says_nothing(tmp_path: Path) -> None:
    sender = SiteSender(
        "press-1", random.Random(1), MqttAddress(host="127.0.0.1", port=1), 1.0, OutboxFile(tmp_path / "no.sqlite")
    )
    assert (sender.sent, sender.confirmed, sender.under_way) == ({}, {}, 0)


def test_under_way_is_what_the_disk_has_and_the_store_has_not(outbox: Outbox, tmp_path: Path) -> None:
    file = OutboxFile(tmp_path / "outbox.sqlite")
    sender = SiteSender("press-1", random.Random(1), MqttAddress(host="127.0.0.1", port=1), 1.0, file)
    assert (sender.sent, sender.confirmed, sender.under_way) == ({OWN: 5}, {OWN: 2}, 3)
    outbox.close()
