"""The machines' models: which there are, how often each was right, and which one judges."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Sequence

import msgspec
from fastapi import APIRouter, Request, Response

from cloud.api.answers import answer
from cloud.api.body import command, read_command
from cloud.api.dependencies import Promoter, Reader, services_of
from cloud.api.model_views import ModelPage, ModelVersionView, in_force, model_view
from cloud.api.ports import Parts
from cloud.api.problems import Problem, not_found
from cloud.models.championship import RefusedModelError, UnknownModelError
from cloud.storage.model_versions import ModelVersion
from cloud.storage.promotions import Promotion
from cloud.storage.verdicts import Precision
from contract.names import check_device, check_site

log = logging.getLogger("ronda.api.models")
router = APIRouter(prefix="/api/v1", tags=["models"])


class Promote(msgspec.Struct, frozen=True, kw_only=True):
    """`force`: also without a back-test, or against it."""

    force: bool = False


class RollBack(msgspec.Struct, frozen=True, kw_only=True):
    """`to`: a version that was in force; None: the one before."""

    to: str | None = None


def _body(properties: dict[str, object]) -> dict[str, object]:
    schema = {"type": "object", "properties": properties}
    return {"requestBody": {"required": False, "content": {"application/json": {"schema": schema}}}}


_FORCE = _body({"force": {"type": "boolean", "default": False}})
_TO = _body({"to": {"type": ["string", "null"], "default": None}})


@router.get("/models")
async def models(request: Request, _: Reader, site: str | None = None) -> Response:
    """The models in force and those that wait for somebody's decision, with how often their alarms were right."""
    parts = services_of(request).parts
    at_site = None if site is None else check_site(site)
    return await _page(parts, await parts.model_versions.in_question(at_site), at_site)


@router.get("/devices/{site}/{device}/models")
async def models_of(request: Request, site: str, device: str, _: Reader) -> Response:
    """All models of a machine, newest first, whatever became of them."""
    parts = services_of(request).parts
    where = check_site(site), check_device(device)
    return await _page(parts, await parts.model_versions.history(*where), *where)


@router.post("/devices/{site}/{device}/models/rollback", openapi_extra=_TO)
async def roll_back(request: Request, site: str, device: str, caller: Promoter) -> Response:
    """Go back to the model before the one in force, or to any other that was in force; the registry may be away."""
    asked = command(await read_command(request), RollBack)
    championship = services_of(request).parts.championship
    done = await _done(championship.rollback(check_site(site), check_device(device), asked.to))
    _note("model.rolled_back", done, caller.subject)
    return answer(in_force(done))


@router.post("/devices/{site}/{device}/models/{version}/promote", openapi_extra=_FORCE)
async def promote(request: Request, site: str, device: str, version: str, caller: Promoter) -> Response:
    """Bring a version into force, unless its last back-test speaks against it or there was none.

    Each candidate is tried when it is trained; `ronda backtest` tries one again.
    """
    asked = command(await read_command(request), Promote)
    championship = services_of(request).parts.championship
    done = await _done(championship.promote(check_site(site), check_device(device), version, force=asked.force))
    _note("model.promoted_by_hand", done, caller.subject)
    return answer(in_force(done))


async def _page(
    parts: Parts, found: Sequence[ModelVersion], site: str | None = None, device: str | None = None
) -> Response:
    precisions = await parts.verdicts.precision(site, device)
    machines, refusals = await parts.lookups.machine_states(), await parts.lookups.model_refusals(site, device)

    def view(model: ModelVersion) -> ModelVersionView:
        this, machine = (model.site, model.device, model.version), machines.get((model.site, model.device))
        judging = None if machine is None else machine.model
        return model_view(model, precisions.get(this, Precision()), judging, refusals.get(this))

    return answer(ModelPage(items=[view(each) for each in found]))


async def _done(work: Awaitable[Promotion]) -> Promotion:
    """Raises: Problem 404 for a model that is none, 409 for one that is refused."""
    try:
        return await work
    except UnknownModelError as error:
        raise not_found(str(error)) from error
    except RefusedModelError as error:
        raise Problem(409, "model_refused", str(error)) from error


def _note(event: str, done: Promotion, subject: str) -> None:
    where = {"site": done.site, "device": done.device, "version": done.version}
    log.info(event, extra={"agent": "api", "subject": subject} | where)
