"""What the answers look like, for `/openapi.json`: made from the very structs that are sent."""

from __future__ import annotations

import math
from typing import Any

import msgspec
from fastapi import FastAPI

from cloud.api.charts import Chart
from cloud.api.demonstration import Started
from cloud.api.fleet import DeviceView
from cloud.api.history import AnomalyPage
from cloud.api.idempotency import HEADER as KEY_HEADER
from cloud.api.idempotency import REPLAYED
from cloud.api.limiting import LimitPage
from cloud.api.model_views import InForce, Judged, ModelPage
from cloud.api.paging import ReadingPage
from cloud.api.problems import MEDIA_TYPE
from cloud.api.quarantine_views import ArchivedView, EntryDetail, EntryPage, ReplayPage, UnarchivedView
from cloud.api.readiness import Ready
from cloud.api.recorder import PROBES
from cloud.api.routes.drift import DriftPage
from cloud.api.routes.ranges import MetricPage
from cloud.api.story import Story
from cloud.api.views import AnomalyDetail
from cloud.storage.reading_blocks import Ledger

JSON = "application/json"


class Devices(msgspec.Struct):
    """The machines in service."""

    items: list[DeviceView]


class Accounts(msgspec.Struct):
    """What became of every machine's readings."""

    items: list[Ledger]


class Taken(msgspec.Struct):
    """How many readings were taken, and under which ids they can be followed."""

    accepted: int
    correlation_ids: list[str]


class ProblemBody(msgspec.Struct):
    """RFC 9457. `reason` is the code to decide on; `errors` name what is wrong one by one."""

    type: str
    title: str
    status: int
    detail: str
    reason: str
    request_id: str | None
    errors: list[dict[str, Any]] = []


_ANSWERS: dict[tuple[str, str, str], tuple[type, ...]] = {
    ("/api/v1/ingest", "post", "202"): (Taken,),
    ("/api/v1/ingest", "post", "201"): (Taken,),
    ("/api/v1/simulate/anomaly-event", "post", "202"): (Started,),
    ("/api/v1/anomalies", "get", "200"): (AnomalyPage,),
    ("/api/v1/anomalies/{anomaly_id}", "get", "200"): (AnomalyDetail,),
    ("/api/v1/trace/{correlation_id}", "get", "200"): (Story,),
    ("/api/v1/readings", "get", "200"): (ReadingPage, Chart),
    ("/api/v1/devices", "get", "200"): (Devices,),
    ("/api/v1/devices/{site}/{device}/drift", "get", "200"): (DriftPage,),
    ("/api/v1/ledger", "get", "200"): (Accounts,),
    ("/api/v1/devices/{site}/{device}/metrics", "get", "200"): (MetricPage,),
    ("/api/v1/devices/{site}/{device}/metrics", "patch", "200"): (MetricPage,),
    ("/api/v1/quarantine", "get", "200"): (EntryPage,),
    ("/api/v1/quarantine/{rejection_id}", "get", "200"): (EntryDetail,),
    ("/api/v1/quarantine/replay", "post", "200"): (ReplayPage,),
    ("/api/v1/quarantine/archive", "post", "200"): (ArchivedView,),
    ("/api/v1/quarantine/unarchive", "post", "200"): (UnarchivedView,),
    ("/api/v1/devices/{site}/{device}/limits", "get", "200"): (LimitPage,),
    ("/api/v1/devices/{site}/{device}/limits", "put", "200"): (LimitPage,),
    ("/api/v1/anomalies/{anomaly_id}/verdict", "post", "200"): (Judged,),
    ("/api/v1/models", "get", "200"): (ModelPage,),
    ("/api/v1/devices/{site}/{device}/models", "get", "200"): (ModelPage,),
    ("/api/v1/devices/{site}/{device}/models/{version}/promote", "post", "200"): (InForce,),
    ("/api/v1/devices/{site}/{device}/models/rollback", "post", "200"): (InForce,),
    ("/readyz", "get", "200"): (Ready,),
}


def _header(what: str, kind: str = "string") -> dict[str, Any]:
    return {"description": what, "schema": {"type": kind}}


_TOO_MANY = "The caller has made all its requests of this minute"
_SECONDS = _header("seconds until a repeat makes sense", "integer")
_PACE = {
    "Retry-After": _SECONDS,
    "RateLimit-Policy": _header("`q` requests in `w` seconds"),
    "RateLimit": _header("`r` requests are left, for `t` seconds; stands with every answer that is counted"),
}


def install(app: FastAPI) -> None:
    """Let the application's OpenAPI document say what each address answers."""
    plain = app.openapi

    def whole() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(plain())
        return plain()

    app.openapi = whole  # type: ignore[method-assign]  # FastAPI's own way to extend the document


def _complete(document: dict[str, Any]) -> None:
    kinds = dict.fromkeys([ProblemBody, *(kind for answer in _ANSWERS.values() for kind in answer)])
    found, components = msgspec.json.schema_components(kinds, ref_template="#/components/schemas/{name}")
    schemas = dict(zip(kinds, found, strict=True))
    document["components"]["schemas"] = {name: _finite(schema) for name, schema in components.items()}
    problem = schemas[ProblemBody]
    for (path, method, status), answer in _ANSWERS.items():
        told = _shown("Done", JSON, [schemas[kind] for kind in answer])
        document["paths"][path][method]["responses"][status] = told
    for path, methods in document["paths"].items():
        for operation in methods.values():
            # FastAPI's own 422 is not what we answer.
            operation["responses"].pop("422", None)
            operation["responses"]["default"] = _shown("A problem", MEDIA_TYPE, [problem])
            if path not in PROBES:
                operation["responses"]["429"] = _shown(_TOO_MANY, MEDIA_TYPE, [problem]) | {"headers": _PACE}
            if _takes_a_key(operation):
                _document_key(operation["responses"], problem)


def _takes_a_key(operation: dict[str, Any]) -> bool:
    return any(parameter["name"] == KEY_HEADER for parameter in operation.get("parameters", ()))


def _document_key(responses: dict[str, Any], problem: dict[str, Any]) -> None:
    """What else may be answered where `Idempotency-Key` is taken."""
    again = {REPLAYED: _header("true: this was done before, and is only told again")}
    for status, told in responses.items():
        if status.startswith("2"):
            told["headers"] = again
    in_flight = "Also: the first request with this Idempotency-Key is still being done"
    responses["409"] = _shown(in_flight, MEDIA_TYPE, [problem]) | {"headers": {"Retry-After": _SECONDS}}
    responses["422"] = _shown("Also: this Idempotency-Key was used for another request", MEDIA_TYPE, [problem])


def _shown(what: str, media_type: str, schemas: list[dict[str, Any]]) -> dict[str, Any]:
    schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
    return {"description": what, "content": {media_type: {"schema": schema}}}


def _finite(schema: dict[str, Any]) -> dict[str, Any]:
    """Without defaults that JSON cannot say: no limit at all."""
    for each in schema.get("properties", {}).values():
        if isinstance(each.get("default"), float) and not math.isfinite(each["default"]):
            del each["default"]
    return schema
