"""What can be said, as hypothesis strategies: names, readings, messages, events."""

from __future__ import annotations

import msgspec
from hypothesis import strategies as st

from contract.errors import Reason
from contract.events import (
    AlarmKind,
    AnomalyDetectedEvent,
    Cause,
    ChannelDrift,
    Delivery,
    Event,
    Evidence,
    HopEvent,
    InputDriftedEvent,
    MachineState,
    MachineStateEvent,
    Maturity,
    ModelPromotedEvent,
    ModelRef,
    ModelRefusedEvent,
    ModelRole,
    NotificationSentEvent,
    Phase,
    ReadingRejectedEvent,
    Remaining,
    SensorEvidence,
    SensorReadingIngestedEvent,
    SensorState,
    Severity,
    StoredEvent,
    ValidatedDataEvent,
    Window,
)
from contract.names import RESERVED_SITES
from contract.telemetry import MAX_SEQ
from contract.topics import AgentTopic, ChainTopic, Channel, DeviceTopic, ModelTopic, Stage

devices = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,62}", fullmatch=True)
sites = devices.filter(lambda name: name not in RESERVED_SITES)
boots = st.from_regex(r"[0-9a-f]{16}", fullmatch=True)
metrics = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=64)
correlation_ids = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._:-]{0,127}", fullmatch=True)
seqs = st.integers(0, MAX_SEQ)
times = st.integers(0, 2**53)
numbers = st.floats(allow_nan=False, allow_infinity=False)
texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)
values = st.dictionaries(metrics, numbers, min_size=1, max_size=8)
rows = st.tuples(seqs, times, values)
envelopes = st.fixed_dictionaries(
    {
        "replayed": st.booleans(),
        "traced": st.booleans(),
        "correlation_id": st.none() | correlation_ids,
        "oldest": st.none() | seqs,
    }
)

device_topics = st.builds(DeviceTopic, sites, devices, st.sampled_from(Channel))
chain_topics = st.builds(ChainTopic, st.sampled_from(Stage), st.integers(0, 63))
agent_topics = st.builds(AgentTopic, devices, devices)
model_topics = st.builds(ModelTopic, sites, devices, st.sampled_from(ModelRole))

# Any JSON there is, and what is nearly a message: the fields' own names with anything in them.
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def _nearly(kind: type[msgspec.Struct]) -> st.SearchStrategy[dict[str, object]]:
    return st.fixed_dictionaries({}, optional=dict.fromkeys(kind.__struct_fields__, json_values))


def nearly(kind: type[Event]) -> st.SearchStrategy[object]:
    """Documents that have some of the event's fields, filled with anything; or an array of such."""
    return _nearly(kind) | st.lists(_nearly(kind), max_size=3)


_readings = st.fixed_dictionaries({}, optional=dict.fromkeys(["seq", "ts", "values", "boot"], json_values))
messages = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(["boot", "seq", "ts", "values", "replayed", "traced", "correlation_id", "oldest"], json_values),
        "readings": st.lists(_readings, max_size=3) | json_values,
    },
)


@st.composite
def _blocks(draw: st.DrawFn, kind: type[SensorReadingIngestedEvent | ValidatedDataEvent]) -> Event:
    n = draw(st.integers(1, 4))
    names = draw(st.lists(metrics, min_size=1, max_size=4, unique=True))

    def column(of: st.SearchStrategy[object]) -> st.SearchStrategy[list[object]]:
        return st.lists(of, min_size=n, max_size=n)

    return kind(
        site=draw(sites),
        device=draw(devices),
        boot=draw(boots),
        received_at_ms=draw(times),
        metrics=names,
        seq=draw(column(seqs)),
        measured_at_ms=draw(column(times)),
        values=[draw(column(numbers)) for _ in names],
        replayed=draw(st.booleans()),
        traced=draw(st.booleans()),
        request_id=draw(st.none() | correlation_ids),
        oldest=draw(st.none() | seqs),
    )


_address = {"site": sites, "device": devices}
_models = st.builds(ModelRef, name=texts, version=texts, run_id=texts, sha256=texts)
_windows = st.builds(
    Window,
    measured_at_ms=st.lists(times, max_size=3),
    series=st.dictionaries(metrics, st.lists(st.none() | numbers, max_size=3), max_size=2),
)
_sensors = st.builds(
    SensorEvidence,
    name=metrics,
    unit=texts,
    share=numbers,
    seen=numbers,
    expected=numbers,
    expected_low=numbers,
    expected_high=numbers,
    ratio=st.none() | numbers,
)
_sentences = st.dictionaries(st.sampled_from(["en", "pt"]), texts)
_causes = st.builds(
    Cause, fault=texts, by=texts, candidates=st.lists(texts, max_size=3), sentence=_sentences, source=texts
)
_evidence = st.builds(
    Evidence,
    sensors=st.lists(_sensors, max_size=2),
    sentence=_sentences,
    window=_windows,
    question=texts,
    cause=st.none() | _causes,
)
_remaining = st.builds(
    Remaining,
    metric=metrics,
    limit=numbers,
    unit=texts,
    crosses_at_ms=times,
    earliest_ms=times,
    latest_ms=st.none() | times,
)
_drifts = st.builds(ChannelDrift, name=metrics, psi=numbers, ks=numbers, p_value=numbers, drifted=st.booleans())

EVENTS: dict[type[Event], st.SearchStrategy[Event]] = {
    SensorReadingIngestedEvent: _blocks(SensorReadingIngestedEvent),
    ValidatedDataEvent: _blocks(ValidatedDataEvent),
    ReadingRejectedEvent: st.builds(
        ReadingRejectedEvent,
        **_address,
        stage=texts,
        reason=st.sampled_from(Reason),
        detail=texts,
        topic=texts,
        payload=st.binary(max_size=40),
        received_at_ms=times,
        boot=st.none() | boots,
        seq=st.none() | seqs,
        correlation_id=st.none() | correlation_ids,
        traced=st.booleans(),
    ),
    AnomalyDetectedEvent: st.builds(
        AnomalyDetectedEvent,
        **_address,
        anomaly_id=texts,
        phase=st.sampled_from(Phase),
        severity=st.sampled_from(Severity),
        score=numbers,
        peak_score=numbers,
        since_ms=times,
        measured_at_ms=times,
        detected_at_ms=times,
        boot=boots,
        seq=seqs,
        correlation_id=correlation_ids,
        model=_models,
        evidence=_evidence,
        kind=st.sampled_from(AlarmKind),
        new_level=st.booleans(),
        replayed=st.booleans(),
        traced=st.booleans(),
    ),
    NotificationSentEvent: st.builds(
        NotificationSentEvent,
        **_address,
        anomaly_id=texts,
        decision=texts,
        channel=texts,
        delivery=st.sampled_from(Delivery),
        receipt=texts,
        sent_at_ms=times,
        correlation_id=correlation_ids,
        recipients=st.lists(texts, max_size=2),
        message_id=st.none() | texts,
        suppressed=seqs,
        traced=st.booleans(),
    ),
    StoredEvent: st.builds(StoredEvent, **_address, boot=boots, through=st.integers(-1, MAX_SEQ)),
    HopEvent: st.builds(
        HopEvent,
        **_address,
        correlation_id=correlation_ids,
        station=texts,
        at_ms=numbers,
        readings=seqs,
        did=texts,
        detail=st.dictionaries(texts, texts | seqs | numbers, max_size=3),
    ),
    ModelPromotedEvent: st.builds(
        ModelPromotedEvent,
        **_address,
        model=_models,
        artifact_uri=texts,
        data_hash=texts,
        trained_through_ms=times,
        promoted_at_ms=times,
        role=st.sampled_from(ModelRole),
    ),
    ModelRefusedEvent: st.builds(
        ModelRefusedEvent, **_address, model=_models, in_use=st.none() | _models, why=texts, at_ms=times
    ),
    MachineStateEvent: st.builds(
        MachineStateEvent,
        **_address,
        state=st.sampled_from(MachineState),
        maturity=st.sampled_from(Maturity),
        measured_at_ms=times,
        at_ms=times,
        regime=st.none() | st.integers(0, 9),
        sensors=st.dictionaries(metrics, st.sampled_from(SensorState), max_size=2),
        remaining=st.none() | _remaining,
        model=st.none() | _models,
    ),
    InputDriftedEvent: st.builds(
        InputDriftedEvent,
        **_address,
        channels=st.lists(_drifts, max_size=2),
        from_ms=times,
        through_ms=times,
        readings=seqs,
        model=_models,
    ),
}
