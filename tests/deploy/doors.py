"""The addresses that orchestrators may ask without a name."""

from __future__ import annotations

from fastapi import FastAPI

from cloud.api.gate import METRICS, OPEN
from cloud.api.routes import health


def open_paths() -> set[str]:
    """Those of the API's own description that are open, and the numbers, which have a port of their own."""
    app = FastAPI()
    app.include_router(health.router)
    described = set(app.openapi()["paths"])
    return (described & set(OPEN)) | (described & {METRICS})
