"""`ronda train --faults`: a site's own fault names, learned from the alarms that its people confirmed."""

from __future__ import annotations

import asyncio
from importlib.metadata import version
from pathlib import Path

from cloud.models.faults import NEWEST, teach_faults
from cloud.models.registry import Provenance, Registry
from cloud.storage.classifiers import ClassifierStore
from cloud.storage.verdicts import VerdictStore
from contract.names import check_site
from detection.errors import FitError
from ronda.installation import InstallationError, folder_of
from ronda.parts import clock_ms
from ronda.settings import load_settings
from ronda.training.force import opened
from ronda.training.train import alone


async def run_fault_training(data: Path | None, site: str) -> None:
    """Fit, register and bring into force; the detection agent takes it up from the store."""
    check_site(site)
    data = folder_of(load_settings("trainer"), data)
    with alone(data):
        async with opened(data) as (around, database):
            confirmed = await VerdictStore(database).confirmed(site, limit=NEWEST)
            try:
                taught = teach_faults(confirmed)
            except FitError as error:
                raise InstallationError(f"{site}: nothing learned: {error}") from error
            registry = Registry(around.runtime.tracking_uri, around.runtime.artifact_root)
            made = Provenance(code_version=version("ronda"), made_at_ms=int(clock_ms()))
            payload = taught.classifier.to_bytes()
            promoted = await asyncio.to_thread(registry.register_classifier, site, payload, taught.learned, made)
            await ClassifierStore(database).promote(promoted)
    known = ", ".join(f"{fault} ({count})" for fault, count in sorted(taught.learned.items()))
    for fault, count in sorted(taught.left_out.items()):
        print(f"{site}: {fault} ({count}) is left out: two machines must have shown it in the same way")
    print(f"{site}: version {promoted.version} of {promoted.name} names {known}; run {promoted.run_id}")
