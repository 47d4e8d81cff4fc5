"""Takes a device's models out of MLflow: registered model, runs, and the bytes that these logged.

Imports MLflow, which costs a second and 100 MB: for a command that does this and ends.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from cloud.models.mlflow_link import EXPERIMENT, Link
from cloud.models.registry import registered_name

_PAGE = 100


def erase_models(tracking_uri: str, artifact_root: str, site: str, device: str) -> int:
    """Delete all that was logged of it; again, it finds nothing. Returns how many runs there were.

    MLflow keeps a deleted run's name and numbers until its own `mlflow gc`. Raises: TransientError when the registry is
    away, RegistryError when it refuses us.
    """
    link = Link(tracking_uri, artifact_root)
    link.prepare()
    with link.told_apart():
        runs = list(_runs(link, site, device))
        for run in runs:
            _delete_artifacts(link, run)
            link.client.delete_run(run.info.run_id)
        name = registered_name(site, device)
        if link.client.search_registered_models(f"name = '{name}'"):
            link.client.delete_registered_model(name)
    return len(runs)


def _runs(link: Link, site: str, device: str) -> Iterator[Any]:
    """Names have no quotes, so they can stand in a filter."""
    experiment = link.client.get_experiment_by_name(EXPERIMENT)
    wanted = f"tags.site = '{site}' and tags.device = '{device}'"
    token = None
    while True:
        page = link.client.search_runs([experiment.experiment_id], wanted, max_results=_PAGE, page_token=token)
        yield from page
        if not (token := page.token):
            return


def _delete_artifacts(link: Link, run: Any) -> None:
    """The run's own files, and those of the models that it logged, which MLflow keeps beside it."""
    from mlflow.store.artifact.artifact_repository_registry import get_artifact_repository

    uris = [run.info.artifact_uri]
    for output in run.outputs.model_outputs if run.outputs else ():
        uris.append(link.client.get_logged_model(output.model_id).artifact_location)
        link.client.delete_logged_model(output.model_id)
    with link.meant():
        for uri in uris:
            repository: Any = get_artifact_repository(uri)
            repository.delete_artifacts()
