"""A model is data that is checked before it judges anything."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from detection.errors import ModelError
from detection.fit import fit
from detection.model import MAX_BYTES, Model, sha256
from tests.support.machines import METRICS, healthy, times

MODEL = fit(healthy(900), times(900), METRICS).model


def broken(**changes: Any) -> bytes:
    return msgspec.json.encode({**msgspec.to_builtins(MODEL), **changes})


def abnormal(**changes: Any) -> bytes:
    return broken(normals=[{**msgspec.to_builtins(MODEL.normals[0]), **changes}])


def test_bytes_and_back_is_the_same_model_with_the_same_checksum() -> None:
    again = Model.from_bytes(MODEL.to_bytes())
    assert again == MODEL
    assert sha256(again.to_bytes()) == sha256(MODEL.to_bytes())
    assert len(MODEL.to_bytes()) < 10_000


@pytest.mark.parametrize(
    ("payload", "why"),
    [
        (b"", "not a model"),
        (b"\xff\xfe", "not a model"),
        (b"[" * 100_000, "not a model"),
        (b"{}", "not a model: Object missing required field"),
        (b" " * (MAX_BYTES + 1), "at most"),
        (broken(extra=1), "unknown field"),
        (broken(format=1), "has format 1, this program reads 2; train again"),
        (broken(metrics=["a", "a", "b", "c"]), "different names"),
        (broken(metrics=[]), "1 to 64 channels"),
        (broken(cadence_ms=0), "cadence_ms"),
        (broken(centre=[1.0]), r"centre must have the shape \(4,\), it has \(1,\)"),
        (broken(deviation=[1, 1, 1, 0]), "above 0 in every channel"),
        (abnormal(rough_limit=[1, 1, 1, -1]), "above 0 in every channel"),
        (broken(normals=[]), "a normal for every operating point"),
        (broken(normals=[None]), "a normal for every operating point"),
        (broken(deciles=[[1.0] * 10] * 4), r"deciles must have the shape \(4, 11\)"),
        (broken(deciles=[list(range(11, 0, -1))] * 4), "deciles must not fall"),
        (MODEL.to_bytes().replace(b'"centre":[', b'"centre":[1e999,'), "not a model"),
        (abnormal(level_limit=[[1.0, 0.0]] * 4), r"level_limit must have the shape \(4, 4\)"),
        (abnormal(level_limit=[[1.0], [1.0, 2.0], [], []]), "level_limit is not an array"),
        (abnormal(level_limit=[[float(i + 2 * j) for i in range(4)] for j in range(4)]), "symmetric"),
        (abnormal(level_limit=[[1.0] * 4] * 4), "positive definite"),
        (abnormal(jump_channels=[3, 1], jump_limit=[[1.0, 0.0], [0.0, 1.0]]), "jump_channels must be rising"),
        (abnormal(jump_channels=[9], jump_limit=[[1.0]]), "jump_channels must be rising and below 4"),
        (abnormal(jump_channels=[1], jump_limit=[]), "jump_limit must have the shape"),
        (broken(settings={"window": 0}), "the window must be 2 to 60 rows"),
        (broken(settings={"sensitivity": 0.5}), "sensitivity and critical must be 1 or more"),
        (broken(settings={"clear_rows": 0}), "clear_rows"),
        (broken(settings={"clear_below": 0}), "clear_below"),
    ],
)
def test_what_cannot_judge_a_machine_is_refused_in_words(payload: bytes, why: str) -> None:
    with pytest.raises(ModelError, match=why):
        Model.from_bytes(payload)
