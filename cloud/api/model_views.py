"""What the API shows of models: where each comes from, how often it was right, and which one is in force."""

from __future__ import annotations

import msgspec

from cloud.api.times import iso
from cloud.api.views import VerdictView
from cloud.storage.model_versions import LeftOut, ModelVersion, Status
from cloud.storage.promotions import Promotion
from cloud.storage.verdicts import Precision


class PrecisionView(msgspec.Struct, frozen=True, kw_only=True):
    """How a model's alarms were judged; `share` is true / (true + false), null before the first verdict."""

    true: int
    false: int
    planned: int
    share: float | None


class ModelVersionView(msgspec.Struct, frozen=True, kw_only=True):
    """A model and what it was made of. `exceedance`: share of healthy readings beyond its limit, without labels."""

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
    return PrecisionView(true=precision.true, false=precision.false, planned=precision.planned, share=precision.share)


def model_view(model: ModelVersion, precision: Precision) -> ModelVersionView:
    """A model."""
    return ModelVersionView(
        site=model.site,
        device=model.device,
        version=model.version,
        name=model.name,
        run_id=model.run_id,
        status=model.status,
        rows=model.rows,
        trained_from_ms=model.trained_from_ms,
        trained_from=iso(model.trained_from_ms),
        trained_through_ms=model.trained_through_ms,
        trained_through=iso(model.trained_through_ms),
        created_at_ms=model.created_at_ms,
        created_at=iso(model.created_at_ms),
        exceedance=model.exceedance,
        factor=model.factor,
        code_version=model.code_version,
        data_hash=model.data_hash,
        sha256=model.sha256,
        excluded=model.excluded,
        precision=precision_view(precision),
    )


def in_force(promotion: Promotion) -> InForce:
    """A promotion."""
    return InForce(
        site=promotion.site,
        device=promotion.device,
        version=promotion.version,
        name=promotion.name,
        run_id=promotion.run_id,
        promoted_at_ms=promotion.promoted_at_ms,
        promoted_at=iso(promotion.promoted_at_ms),
    )
