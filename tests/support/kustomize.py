"""Renders the part of kustomize that our manifests use; `kubectl kustomize` gives the same resources.

Resources, common labels, a namespace, images, and secrets made of files: no patches, so that every file is valid as it
stands. Anything else in a kustomization fails here.
"""

from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import yaml

Resource = dict[str, Any]
_KNOWN = {
    "apiVersion", "kind", "resources", "labels", "namespace", "images", "generatorOptions", "secretGenerator",
}  # fmt: skip
_OF_THE_CLUSTER = {"Namespace"}


def render(folder: Path) -> list[Resource]:
    """The resources of a kustomization. Fails on what this does not know."""
    ours = yaml.safe_load((folder / "kustomization.yaml").read_text())
    assert set(ours) <= _KNOWN, set(ours) - _KNOWN
    found = [resource for entry in ours["resources"] for resource in _load(folder / entry)]
    found += [_secret(folder, spec) for spec in ours.get("secretGenerator", [])]
    for resource in found:
        metadata = resource["metadata"]
        for labels in ours.get("labels", []):
            metadata["labels"] = metadata.get("labels", {}) | labels["pairs"]
        if "namespace" in ours and resource["kind"] not in _OF_THE_CLUSTER:
            metadata["namespace"] = ours["namespace"]
        for image in ours.get("images", []):
            _rename(resource, image)
    return found


def _load(path: Path) -> list[Resource]:
    return render(path) if path.is_dir() else list(yaml.safe_load_all(path.read_text()))


def _secret(folder: Path, spec: dict[str, Any]) -> Resource:
    assert set(spec) <= {"name", "files", "envs"}, spec
    data = {Path(name).name: (folder / name).read_bytes() for name in spec.get("files", [])}
    for name in spec.get("envs", []):
        lines = (line.strip() for line in (folder / name).read_text().splitlines())
        pairs = (line.partition("=") for line in lines if line and not line.startswith("#"))
        data |= {key: value.encode() for key, _, value in pairs}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {"name": spec["name"]},
        "data": {key: base64.b64encode(value).decode() for key, value in data.items()},
    }


def _rename(resource: Resource, image: dict[str, str]) -> None:
    for container in containers(resource):
        name, _, tag = container["image"].partition(":")
        if name == image["name"]:
            container["image"] = f"{image.get('newName', name)}:{image.get('newTag', tag)}"


def pod(resource: Resource) -> dict[str, Any] | None:
    """The pod that a workload makes, or None for what is no workload."""
    spec = resource.get("spec", {})
    template = spec.get("template") if isinstance(spec, dict) else None
    return template["spec"] if template else None


def containers(resource: Resource) -> list[dict[str, Any]]:
    """All containers of a workload's pod, those that come first included."""
    found = pod(resource) or {}
    return [*found.get("initContainers", []), *found.get("containers", [])]
