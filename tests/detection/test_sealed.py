"""A state that was damaged is refused in words, never taken for a memory, and breaks nothing."""

from __future__ import annotations

import functools

import msgspec
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from detection import drift_watch
from detection import state as memory
from detection.detector import Detector
from detection.drift_watch import DriftWatch
from detection.errors import DetectionError
from detection.limit import Limit
from detection.limits import LimitWatch
from detection.machine import Machine
from detection.rows import Floats
from detection.sealed import numbers, opened, sealed
from detection.trend_watch import TrendWatch
from tests.support.machines import DEVIATIONS, METRICS, START_MS, detector, healthy, times

AFTER_MS = START_MS + 900_000
MODEL = detector().model
LIMITS = [Limit(metric="current_a", high=4.6)]
DECILES = dict(zip(METRICS, MODEL.deciles, strict=True))
ARRAYS = ("rows", "times", "ages")


def eventful() -> Floats:
    """An alarm, a sensor that stands still and one that is silent."""
    values = healthy(900 + 300)[900:]
    values[100:, 1] += 8 * DEVIATIONS[1]
    values[200:, 2] = values[200, 2]
    values[250:, 0] = np.nan
    return values


@functools.cache
def detectors_state() -> bytes:
    watcher = Detector(MODEL)
    watcher.process(times(300, start_ms=AFTER_MS), eventful().T, METRICS)
    return watcher.state()


@functools.cache
def machines_state() -> bytes:
    machine = Machine.begun(MODEL, limits=LIMITS)
    machine.process(times(300, start_ms=AFTER_MS), eventful().T, METRICS)
    return machine.state()


def works(watched: Detector | Machine) -> bool:
    """Does it judge what comes next, a row and a block, and leave a state?"""
    later, values = times(200, start_ms=AFTER_MS + 300_000), healthy(200)
    watched.process(later[:1], values[:1].T, METRICS)
    watched.process(later[1:], values[1:].T, METRICS)
    return len(watched.state()) > 0


@st.composite
def damages(draw: st.DrawFn, length: int) -> list[tuple[int, int]]:
    """Where which bits flip; a place at the end (256) cuts the rest off."""
    places = st.tuples(st.integers(0, length - 1), st.integers(1, 256))
    return draw(st.lists(places, min_size=1, max_size=8))


def damaged(payload: bytes, how: list[tuple[int, int]]) -> bytes:
    out = bytearray(payload)
    for place, bits in how:
        if bits == 256:
            del out[place:]
        elif place < len(out):
            out[place] ^= bits
    return bytes(out)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_detectors_state_with_flipped_bits_or_cut_short_is_refused(data: st.DataObject) -> None:
    payload = detectors_state()
    broken = damaged(payload, data.draw(damages(len(payload))))
    if broken != payload:
        with pytest.raises(DetectionError, match="not a detector's state"):
            Detector(MODEL, state=broken)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_machines_state_with_flipped_bits_or_cut_short_is_refused(data: st.DataObject) -> None:
    payload = machines_state()
    broken = damaged(payload, data.draw(damages(len(payload))))
    if broken != payload:
        with pytest.raises(DetectionError):
            Machine.begun(MODEL, limits=LIMITS, state=broken)


def test_the_watches_beside_refuse_the_same() -> None:
    watches = (LimitWatch(LIMITS), TrendWatch(LIMITS))
    for watch in watches:
        watch.process(times(300, start_ms=AFTER_MS), eventful().T, METRICS)
        payload = watch.state()
        for place in range(0, len(payload), 7):
            with pytest.raises(DetectionError):
                type(watch)(LIMITS, state=damaged(payload, [(place, 1)]))
            with pytest.raises(DetectionError):
                type(watch)(LIMITS, state=payload[:place])


@functools.cache
def inputs() -> DriftWatch:
    watcher = DriftWatch(DECILES, 900)
    watcher.process(times(300, start_ms=AFTER_MS), healthy(300).T, METRICS, np.ones(300, dtype=bool))
    return watcher


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_watched_inputs_whose_state_was_damaged_begin_their_hour_anew(data: st.DataObject) -> None:
    payload = inputs().state()
    broken = damaged(payload, data.draw(damages(len(payload))))
    if broken != payload:
        assert DriftWatch(DECILES, 900, state=broken).state() == DriftWatch(DECILES, 900).state()
    assert DriftWatch(DECILES, 900, state=payload).state() == payload


@settings(max_examples=100, deadline=None)
@given(st.sampled_from(("below", "upto", "counts", "sums", "squares")), st.integers(1, 9), st.booleans())
def test_tables_of_watched_inputs_of_another_size_begin_the_hour_anew(name: str, by: int, longer: bool) -> None:
    state = opened(inputs().state(), drift_watch._State, "the state of watched inputs")
    table = getattr(state, name)
    other = msgspec.structs.replace(state, **{name: table + b"\0" * by if longer else table[:-by]})
    assert DriftWatch(DECILES, 900, state=sealed(other)).state() == DriftWatch(DECILES, 900).state()


def test_what_was_left_undamaged_works() -> None:
    assert works(Detector(MODEL, state=detectors_state()))
    assert works(Machine.begun(MODEL, limits=LIMITS, state=machines_state()))


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(ARRAYS), st.integers(1, 9), st.booleans())
def test_arrays_of_another_length_are_refused(name: str, by: int, longer: bool) -> None:
    state = memory.from_bytes(detectors_state())
    array = getattr(state.judge, name)
    other = array + b"\0" * by if longer else array[:-by]
    judge = msgspec.structs.replace(state.judge, **{name: other})
    with pytest.raises(DetectionError):
        Detector(MODEL, state=memory.to_bytes(msgspec.structs.replace(state, judge=judge)))


@pytest.mark.parametrize(
    "change",
    [
        {"health": [0, 0]},
        {"standing": {}},
        {"standing": {2: METRICS[2], 99: "x"}},
        {"place": 7},
        {"holes": -1},
        {"returning": memory.ReturnState(side=[1, 1, 1, 1, 1])},
        {"sensor_watch": memory.WatchState.fresh(3)},
    ],
)
def test_a_state_that_does_not_fit_is_refused(change: dict[str, object]) -> None:
    state = memory.from_bytes(detectors_state())
    with pytest.raises(DetectionError, match="start afresh"):
        Detector(MODEL, state=memory.to_bytes(msgspec.structs.replace(state, **change)))


def test_what_an_older_program_left_is_refused_in_words() -> None:
    older = msgspec.msgpack.encode({"format": 2, "model": "f" * 64})
    with pytest.raises(DetectionError, match="damaged, or of an older program; start afresh"):
        Detector(MODEL, state=older)


def test_numbers_that_do_not_fill_their_shape_are_refused() -> None:
    with pytest.raises(DetectionError, match=r"holds 2.5 numbers where 3 belong"):
        numbers(b"0123456789", "<i4", 3)
    assert numbers(b"\1\0\2\0", "<i2", 2).tolist() == [1, 2]


class Left(msgspec.Struct):
    what: str


def test_what_was_sealed_is_opened() -> None:
    assert opened(sealed(Left("this")), Left, "anything") == Left("this")
