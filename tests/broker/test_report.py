"""What the embedded broker drops is in its log, and seen."""

from __future__ import annotations

import asyncio
import logging

import pytest

from broker.embedded import counted
from broker.embedded.counters import Counters, QueueDepth, Status
from broker.embedded.report import fields, rose
from tests.broker.conftest import OTHER, PUMP
from tests.support.brokers import RunningBroker
from tests.support.mosquitto_tools import publish_lines

PATIENCE_S = 20.0


def depth(user: str, messages: int) -> QueueDepth:
    return QueueDepth(f"id of {user}", user, False, messages, messages * 10)


def test_the_line_has_every_counter_and_names_the_services_alone() -> None:
    queues = [depth("validation", 2), depth("validation", 3), depth("historian", 0), depth(PUMP, 4)]
    line = fields(Status(Counters(received=7, refused={"not_yours": 1}), queues, 5, 6))
    assert set(Counters.__struct_fields__) <= set(line)
    assert (line["received"], line["refused"], line["retained"], line["dead_letters_kept"]) == (
        7,
        {"not_yours": 1},
        5,
        6,
    )
    assert (line["sessions"], line["waiting"], line["waiting_octets"]) == (4, 9, 90)
    assert line["waiting_for"] == {"validation": 5, "historian": 0}


@pytest.mark.parametrize(
    ("now", "trouble"),
    [
        (Counters(), False),
        (Counters(received=9, delivered=9, connections=9), False),
        (Counters(refused={"not_yours": 1}), True),
        (Counters(refused_full=1), True),
        (Counters(dropped_slow=1), True),
        (Counters(dropped_retained=1), True),
        (Counters(disk_full=1), True),
        (Counters(dead_letters=1), True),
        (Counters(refused_connections=1), True),
        (Counters(malformed_connections=1), True),
    ],
)
def test_what_was_dropped_or_refused_is_trouble(now: Counters, trouble: bool) -> None:
    assert rose(Counters(), now) is trouble
    assert rose(now, now) is False


async def test_the_line_comes_again_and_again_and_at_the_end_and_warns_only_of_what_is_new(
    ours: RunningBroker, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "ronda.broker")

    def levels() -> list[str]:
        return [record.levelname for record in caplog.records if record.getMessage() == "broker.counted"]

    async with asyncio.timeout(PATIENCE_S), counted(ours.broker.status, every_s=0.05):
        while not levels():
            await asyncio.sleep(0.01)
        await publish_lines(ours.address(PUMP), f"ronda/v1/{OTHER}/telemetry", ["x"])
        while levels().count("WARNING") < 1 or levels()[-1] == "WARNING":
            await asyncio.sleep(0.01)
        so_far = len(levels())
    assert len(levels()) == so_far + 1
    assert (levels()[0], levels().count("WARNING"), levels()[-1]) == ("INFO", 1, "INFO")
