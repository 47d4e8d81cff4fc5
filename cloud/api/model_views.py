"""What the API shows of models: where each comes from, how often it was right, and which one is in force."""

from __future__ import annotations

import msgspec

from cloud.api.shapes import shown
from cloud.api.views import VerdictView
from cloud.storage.model_versions import LeftOut, ModelVersion, Status
from cloud.storage.promotions import Promotion
from cloud.storage.verdicts import Precision
from contract.events import ModelRef, ModelRefusedEvent


class PrecisionView(msgspec.Struct, frozen=True, kw_only=True):
    """How a model's alarms were judged; `share` is true / (true + false), null before the first verdict."""

    true: int
    false: int
    planned: int
    share: float | None


class RefusalView(msgspec.Struct, frozen=True, kw_only=True):
    """A promoted model was not put to use, because of `why`; version `in_use` went on, null: none was there."""

    why: str
    in_use: str | None
    at_ms: int
    at: str


class ModelVersionView(msgspec.Struct, frozen=True, kw_only=True):
    """A model and what it was made of. `exceedance`: share of healthy readings beyond its limit, without labels.

    `status` is what was decided; `judges`: it is the one by which the machine is really judged, as the detection agent
    last said; `refused`: the last time that it was not put to use, null: never.
    """

    site: str
    device: str
    version: str
    name: str
    run_id: str
    status: Status
    rows: int
    trained_from_ms: int
    trained_from: str
    trained_through_ms: int
    trained_through: str
    created_at_ms: int
    created_at: str
    exceedance: float | None
    factor: float | None
    code_version: str
    data_hash: str
    sha256: str
    excluded: list[LeftOut]
    precision: PrecisionView
    judges: bool
    refused: RefusalView | None


class ModelPage(msgspec.Struct, frozen=True, kw_only=True):
    """Models by machine, newest first."""

    items: list[ModelVersionView]


class InForce(msgspec.Struct, frozen=True, kw_only=True):
    """Which model judges the machine from now on."""

    site: str
    device: str
    version: str
    name: str
    run_id: str
    promoted_at_ms: int
    promoted_at: str


class Judged(msgspec.Struct, frozen=True, kw_only=True):
    """What was said of an alarm, and how its model stands since."""

    anomaly_id: str
    site: str
    device: str
    verdict: VerdictView
    precision: PrecisionView


def precision_view(precision: Precision) -> PrecisionView:
    """The counts with their share."""
    return shown(PrecisionView, precision, share=precision.share)


def model_view(
    model: ModelVersion, precision: Precision, judging: ModelRef | None, refusal: ModelRefusedEvent | None
) -> ModelVersionView:
    """A model. `judging`: the one by which its machine is really judged."""
    return shown(
        ModelVersionView,
        model,
        precision=precision_view(precision),
        judges=judging is not None and judging.version == model.version,
        refused=None if refusal is None else _refusal_view(refusal),
    )


def in_force(promotion: Promotion) -> InForce:
    """A promotion."""
    return shown(InForce, promotion)


def _refusal_view(refusal: ModelRefusedEvent) -> RefusalView:
    return shown(RefusalView, refusal, in_use=None if refusal.in_use is None else refusal.in_use.version)
