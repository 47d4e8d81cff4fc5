"""An emulated device says what the golden messages say, in the contract's words."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from contract.telemetry import decode
from edge.buffer import Buffer, Mark
from edge.uplink import BATCH, Uplink
from tests.edge.test_uplink import RememberingBus
from tests.support.golden import Accepted, accepted

NOW_MS = 1_763_800_000_000


def sayable() -> Iterator[Accepted]:
    """Golden messages such as our devices send: counted without a gap, every reading with the same metrics."""
    for golden in accepted():
        first = golden.readings[0]
        row = range(first.seq, first.seq + len(golden.readings))
        alike = all(list(reading.values) == list(first.values) for reading in golden.readings)
        small = len(golden.readings) <= BATCH
        if first.counted and alike and small and not golden.refused and [r.seq for r in golden.readings] == list(row):
            yield golden


@pytest.mark.parametrize("golden", list(sayable()), ids=str)
def test_a_golden_message_that_goes_through_the_ring_means_the_same(golden: Accepted) -> None:
    first = golden.readings[0]
    buffer = Buffer(first.boot, BATCH, next_seq=first.seq)
    mark = Mark(golden.replayed, golden.traced, golden.correlation_id)
    for reading in golden.readings:
        buffer.hold(reading.measured_at_ms, tuple(reading.values.values()), mark)
    uplink = Uplink(
        RememberingBus(), golden.site, golden.device, tuple(first.values), now_ms=lambda: NOW_MS, late_ms=None
    )
    (payload,) = (uplink.message(buffer, batch) for batch in uplink.due(buffer))
    message = decode(payload, golden.site, golden.device)
    assert message.readings == golden.readings
    assert (message.replayed, message.traced, message.correlation_id) == (
        mark.replayed,
        mark.traced,
        mark.correlation_id,
    )


def test_most_golden_messages_of_counting_devices_are_covered():
    assert len(list(sayable())) >= 8
