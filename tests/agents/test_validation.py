"""What can be true goes on; what cannot goes aside, row by row."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec
from hypothesis import given
from hypothesis import strategies as st

from cloud.agents.validation import ValidationAgent, validate
from contract.errors import Reason
from contract.events import Event, ReadingRejectedEvent, SensorReadingIngestedEvent, ValidatedDataEvent
from contract.plausibility import Metric, fault
from contract.telemetry import decode

NOW = 1_763_800_000_000
LIMITS = {"a": Metric(name="a", unit="g", low=-1.0, high=1.0), "b": Metric(name="b")}


class Registered:
    """Remembers what was registered."""

    def __init__(self, metrics: Sequence[Metric] | None = None) -> None:
        self.known = metrics
        self.asked = 0

    async def metrics(self, site: str, device: str) -> Sequence[Metric] | None:
        self.asked += 1
        return self.known

    async def register_metrics(self, site: str, device: str, metrics: Sequence[Metric]) -> Sequence[Metric]:
        self.known = self.known or metrics
        return self.known


def block(times: Sequence[int], **columns: Sequence[float]) -> SensorReadingIngestedEvent:
    return SensorReadingIngestedEvent(
        site="plant-1",
        device="pump-07",
        boot="9f2c41d07be3a655",
        received_at_ms=NOW,
        metrics=list(columns),
        seq=list(range(len(times))),
        measured_at_ms=list(times),
        values=[list(column) for column in columns.values()],
    )


def reasons(events: Sequence[Event]) -> list[Reason]:
    return [event.reason for event in events if isinstance(event, ReadingRejectedEvent)]


def test_a_sound_block_goes_on_whole() -> None:
    (event,) = validate(block([NOW, NOW + 1], a=[0.1, 0.2]), LIMITS, NOW)
    assert isinstance(event, ValidatedDataEvent)
    assert len(event) == 2


def test_only_the_impossible_rows_go_aside() -> None:
    sound, *refused = validate(block([NOW, NOW // 1000, NOW], a=[0.1, 0.2, 7.0]), LIMITS, NOW)
    assert isinstance(sound, ValidatedDataEvent)
    assert sound.seq == [0]
    assert reasons(refused) == [Reason.TIME_IN_SECONDS, Reason.OUT_OF_RANGE]


def test_a_refused_row_can_be_decoded_again_from_its_bytes() -> None:
    (refused,) = validate(block([5], a=[0.5]), LIMITS, NOW)
    assert isinstance(refused, ReadingRejectedEvent)
    (again,) = decode(refused.payload, "plant-1", "pump-07").readings
    assert (again.boot, again.seq, again.measured_at_ms, again.values) == ("9f2c41d07be3a655", 0, 5, {"a": 0.5})


@given(
    st.lists(
        st.tuples(st.sampled_from([NOW, 0, NOW // 1000, NOW * 1000, NOW + 10**7]), st.floats(-3, 3)),
        min_size=1,
        max_size=8,
    )
)
def test_the_quick_answer_for_a_block_is_the_one_for_its_rows(rows: list[tuple[int, float]]) -> None:
    times, column = [at for at, _ in rows], [value for _, value in rows]
    events = validate(block(times, a=column), LIMITS, NOW)
    kept = [seq for event in events if isinstance(event, ValidatedDataEvent) for seq in event.seq]
    assert kept == [seq for seq, (at, value) in enumerate(rows) if fault(at, {"a": value}, LIMITS, NOW) is None]


async def test_the_first_reading_of_a_device_registers_its_metrics_whatever_their_names() -> None:
    devices = Registered()
    out = await ValidationAgent(devices, lambda: NOW).handle([block([NOW], **{"Volume Flow RateRMS": [32.0]})])
    assert isinstance(out[0], ValidatedDataEvent)
    assert devices.known == [Metric(name="Volume Flow RateRMS")]


async def test_an_impossible_first_reading_registers_nothing() -> None:
    devices = Registered()
    out = await ValidationAgent(devices, lambda: NOW).handle([block([NOW // 1000], a=[1.0])])
    assert reasons(out) == [Reason.TIME_IN_SECONDS]
    assert devices.known is None


async def test_a_metric_that_is_not_registered_is_refused_and_named() -> None:
    agent = ValidationAgent(Registered([Metric(name="a")]), lambda: NOW)
    out = await agent.handle([block([NOW], a=[1.0], c=[2.0])])
    assert reasons(out) == [Reason.UNKNOWN_METRIC]
    assert isinstance(out[0], ReadingRejectedEvent)
    assert "'c'" in out[0].detail


async def test_a_metric_registered_meanwhile_is_accepted() -> None:
    devices = Registered([Metric(name="a")])
    agent = ValidationAgent(devices, lambda: NOW)
    await agent.handle([block([NOW], a=[1.0])])
    devices.known = [Metric(name="a"), Metric(name="c")]
    out = await agent.handle([block([NOW], a=[1.0], c=[2.0])])
    assert reasons(out) == []


async def test_the_registry_is_not_asked_for_every_batch() -> None:
    devices = Registered([Metric(name="a")])
    agent = ValidationAgent(devices, lambda: NOW)
    for _ in range(5):
        await agent.handle([block([NOW], a=[1.0])])
    assert devices.asked == 1


def test_a_validated_block_says_the_same_as_the_ingested_one() -> None:
    ingested = block([NOW, NOW + 1], a=[0.1, 0.2])
    (validated,) = validate(ingested, LIMITS, NOW)
    assert msgspec.to_builtins(validated) == msgspec.to_builtins(ingested)


async def test_a_range_that_was_widened_counts_a_second_after_a_refusal_and_one_that_was_narrowed_within_a_minute() -> (
    None
):
    now = [NOW]
    registered = Registered([Metric(name="a", high=1.0)])
    agent = ValidationAgent(registered, lambda: now[0])

    async def refused(value: float) -> list[Reason]:
        return reasons(await agent.handle([block([NOW], a=[value])]))

    assert await refused(5.0) == [Reason.OUT_OF_RANGE]
    registered.known = [Metric(name="a", high=10.0)]
    now[0] += 900
    assert await refused(5.0) == [Reason.OUT_OF_RANGE]
    now[0] += 200
    assert await refused(5.0) == []
    registered.known = [Metric(name="a", high=1.0)]
    now[0] += 30_000
    assert await refused(5.0) == []
    now[0] += 31_000
    assert await refused(5.0) == [Reason.OUT_OF_RANGE]


async def test_a_device_that_is_always_out_of_range_is_looked_up_once_a_second() -> None:
    registered = Registered([Metric(name="a", high=1.0)])
    agent = ValidationAgent(registered, lambda: NOW)
    for _ in range(100):
        await agent.handle([block([NOW], a=[5.0])])
    assert registered.asked == 1


async def test_a_clock_that_was_set_back_keeps_no_old_range_in_force() -> None:
    now = [NOW]
    registered = Registered([Metric(name="a", high=1.0)])
    agent = ValidationAgent(registered, lambda: now[0])
    assert reasons(await agent.handle([block([NOW - 7_200_000], a=[5.0])])) == [Reason.OUT_OF_RANGE]
    registered.known = [Metric(name="a", high=10.0)]
    now[0] -= 3_600_000
    assert reasons(await agent.handle([block([NOW - 7_200_000], a=[5.0])])) == []
