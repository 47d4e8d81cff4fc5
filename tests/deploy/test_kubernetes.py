"""The manifests for Kubernetes: valid for its schemas, and every reference in them leads somewhere."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import kubernetes_validate
import pytest
import yaml

from ronda.installation import AGENT_NAMES
from ronda.settings import Settings
from ronda.stack.secrets import make_secrets
from tests.deploy.doors import open_paths
from tests.support.installation import ROOT
from tests.support.kustomize import Resource, containers, pod, render

FOLDER = ROOT / "deploy" / "kubernetes"
OVERLAY = "overlays/production"
# The oldest that clouds still keep, and the newest whose schemas are here.
VERSIONS = ("1.31", kubernetes_validate.latest_version())
SETTINGS = {name.upper() for name in Settings.model_fields}
# Of MLflow's own server.
_HEALTH = "/health"
WORKLOADS = {"Deployment", "StatefulSet", "Job"}


@cache
def rendered() -> list[Resource]:
    """The overlay with secrets as an administrator makes them."""
    with TemporaryDirectory() as place:
        copy = Path(place) / "kubernetes"
        shutil.copytree(FOLDER, copy)
        overlay = copy / OVERLAY
        make_secrets(overlay / "secrets")
        shutil.copy(overlay / "engines.env.example", overlay / "engines.env")
        return render(overlay)


def of_kind(*kinds: str) -> list[Resource]:
    return [resource for resource in rendered() if resource["kind"] in kinds]


def named(kind: str, name: str) -> Resource:
    return next(resource for resource in of_kind(kind) if resource["metadata"]["name"] == name)


def title(resource: Resource) -> str:
    return f"{resource['kind']}/{resource['metadata']['name']}"


def labels_of_pods() -> list[Mapping[str, str]]:
    return [workload["spec"]["template"]["metadata"]["labels"] for workload in of_kind(*WORKLOADS)]


def selects(selector: Mapping[str, Any], labels: Mapping[str, str]) -> bool:
    wanted = all(labels.get(key) == value for key, value in selector.get("matchLabels", {}).items())
    expressions = selector.get("matchExpressions", [])
    assert all(each["operator"] == "In" for each in expressions)
    return wanted and all(labels.get(each["key"]) in each["values"] for each in expressions)


def every(key: str, where: Any) -> Iterator[Any]:
    """Each value under `key`, at any depth."""
    if isinstance(where, dict):
        for name, value in where.items():
            if name == key:
                yield value
            yield from every(key, value)
    elif isinstance(where, list):
        for value in where:
            yield from every(key, value)


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("resource", rendered(), ids=title)
def test_every_manifest_is_valid(resource: Resource, version: str) -> None:
    kubernetes_validate.validate(resource, version, strict=True)


def test_every_file_is_in_a_kustomization_and_valid_as_it_stands() -> None:
    listed = {
        (file.parent / entry).resolve()
        for file in FOLDER.rglob("kustomization.yaml")
        for entry in yaml.safe_load(file.read_text())["resources"]
    }
    files = {file.resolve() for file in FOLDER.rglob("*.yaml") if file.name != "kustomization.yaml"}
    assert files <= listed
    for file in files:
        for resource in yaml.safe_load_all(file.read_text()):
            kubernetes_validate.validate(resource, VERSIONS[0], strict=True)


def test_no_two_resources_have_one_name() -> None:
    names = [title(resource) for resource in rendered()]
    assert len(names) == len(set(names))


def test_there_is_a_part_for_each_agent_and_one_of_each() -> None:
    parts = {workload["metadata"]["name"]: workload for workload in of_kind("Deployment")}
    assert set(parts) == {*AGENT_NAMES, "api", "mlflow", "trainer"}
    for agent in AGENT_NAMES:
        assert containers(parts[agent])[0]["args"] == ["agent", agent]
        # Two of one name would take over each other's session.
        assert (parts[agent]["spec"]["replicas"], parts[agent]["spec"]["strategy"]["type"]) == (1, "Recreate")


@pytest.mark.parametrize("workload", of_kind(*WORKLOADS), ids=title)
def test_a_container_has_no_rights_and_a_bound(workload: Resource) -> None:
    whole = pod(workload)
    assert whole is not None
    assert whole["securityContext"]["runAsNonRoot"] is True
    assert whole["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert (whole["automountServiceAccountToken"], whole["enableServiceLinks"]) == (False, False)
    assert named("ServiceAccount", whole["serviceAccountName"])["automountServiceAccountToken"] is False
    for container in containers(workload):
        rights = container["securityContext"]
        assert (rights["allowPrivilegeEscalation"], rights["readOnlyRootFilesystem"]) == (False, True)
        assert rights["capabilities"] == {"drop": ["ALL"]}
        assert {"cpu", "memory"} == set(container["resources"]["requests"])
        assert "memory" in container["resources"]["limits"]
        assert container["image"].rpartition(":")[2] not in {"", "latest"}


@pytest.mark.parametrize("workload", of_kind(*WORKLOADS), ids=title)
def test_every_volume_is_there_and_every_mount_has_one(workload: Resource) -> None:
    whole = pod(workload)
    assert whole is not None
    volumes = {volume["name"]: volume for volume in whole["volumes"]}
    own = {claim["metadata"]["name"] for claim in workload["spec"].get("volumeClaimTemplates", [])}
    mounted = {mount["name"] for container in containers(workload) for mount in container["volumeMounts"]}
    assert mounted == set(volumes) | own
    for claim in every("claimName", whole):
        assert named("PersistentVolumeClaim", claim)
    for volume in volumes.values():
        if "configMap" in volume:
            assert named("ConfigMap", volume["configMap"]["name"])


@pytest.mark.parametrize("workload", of_kind(*WORKLOADS), ids=title)
def test_every_secret_is_in_the_template_and_is_a_setting_or_a_file_that_is_asked_for(workload: Resource) -> None:
    asked = {argument.rpartition("/")[2] for argument in every("args", workload) for argument in argument}
    for source in every("secret", pod(workload)):
        known = named("Secret", source["name"])["data"]
        for item in source["items"]:
            assert item["key"] in known
            setting = item["path"].upper() in SETTINGS
            assert setting or item["path"] in asked | {"ca.crt", "mosquitto.crt", "mosquitto.key"}


def test_a_part_gets_no_secret_that_it_has_no_use_for() -> None:
    got = {
        workload["metadata"]["name"]: {
            item["path"] for source in every("secret", pod(workload)) for item in source["items"]
        }
        for workload in of_kind(*WORKLOADS)
    }
    assert {name for name, secrets in got.items() if "jwt_secret" in secrets} == {"api"}
    assert {name for name, secrets in got.items() if "mqtt_users" in secrets} == {"mosquitto"}
    assert {name for name, secrets in got.items() if "aws_secret_access_key" in secrets} == {"mlflow", "prepare-store"}
    assert got["mosquitto"] == {"mqtt_users", "mosquitto.crt", "mosquitto.key"}
    lasting = pod(named("StatefulSet", "mosquitto"))["containers"][0]  # type: ignore[index]  # it has one
    assert "users" not in {mount["name"] for mount in lasting["volumeMounts"]}


def test_every_variable_is_a_setting_and_has_a_value_that_it_takes() -> None:
    (settings,) = (each for each in of_kind("ConfigMap") if each["metadata"]["name"] == "ronda-settings")
    assert set(settings["data"]) <= SETTINGS
    engines = named("Secret", "ronda-engines")["data"]
    assert set(engines) <= SETTINGS
    taken = {name.lower(): value for name, value in settings["data"].items() if value}
    Settings(_env_file=None, **taken)  # type: ignore[call-arg]  # pydantic reads the strings
    for workload in of_kind(*WORKLOADS):
        for name in every("configMapRef", workload):
            assert named("ConfigMap", name["name"])
        assert {entry["name"] for entries in every("env", workload) for entry in entries} <= SETTINGS


def test_no_secret_stands_in_a_file() -> None:
    assert "Secret" not in {
        resource["kind"]
        for file in FOLDER.rglob("*.yaml")
        if file.name != "kustomization.yaml"
        for resource in yaml.safe_load_all(file.read_text())
    }
    assert {"secrets/", "engines.env"} <= set((FOLDER / OVERLAY / ".gitignore").read_text().split())


@pytest.mark.parametrize("workload", of_kind("Deployment", "StatefulSet"), ids=title)
def test_every_probe_asks_a_door_that_is_open(workload: Resource) -> None:
    for container in containers(workload)[-1:]:
        ports = {port["name"] for port in container["ports"]}
        probes = [container[kind] for kind in ("startupProbe", "livenessProbe")]
        probes += [container["readinessProbe"]] if "readinessProbe" in container else []
        for probe in probes:
            if "httpGet" in probe:
                assert probe["httpGet"]["port"] in ports
                paths = {_HEALTH} if workload["metadata"]["name"] == "mlflow" else open_paths()
                assert probe["httpGet"]["path"] in paths
            elif "tcpSocket" in probe:
                assert probe["tcpSocket"]["port"] in ports
            else:
                assert probe["exec"]["command"][:2] == ["ronda", "health"]


def test_every_workload_selects_its_own_pods() -> None:
    for workload in of_kind("Deployment", "StatefulSet"):
        selector, labels = workload["spec"]["selector"], workload["spec"]["template"]["metadata"]["labels"]
        assert selects(selector, labels)
        assert sum(selects(selector, other) for other in labels_of_pods()) == 1


def test_every_service_has_pods_and_a_port_of_theirs() -> None:
    for service in of_kind("Service"):
        selector = {"matchLabels": service["spec"]["selector"]}
        (behind,) = [
            workload
            for workload in of_kind(*WORKLOADS)
            if selects(selector, workload["spec"]["template"]["metadata"]["labels"])
        ]
        ports = {port["name"] for container in containers(behind) for port in container.get("ports", [])}
        assert {port["targetPort"] for port in service["spec"]["ports"]} <= ports


def test_what_refers_to_a_part_finds_it() -> None:
    for scaler in of_kind("HorizontalPodAutoscaler"):
        target = scaler["spec"]["scaleTargetRef"]
        # Who scales has the say on how many there are.
        assert "replicas" not in named(target["kind"], target["name"])["spec"]
        assert scaler["spec"]["minReplicas"] >= 2
    for budget in of_kind("PodDisruptionBudget"):
        assert any(selects(budget["spec"]["selector"], labels) for labels in labels_of_pods())
    for ingress in of_kind("Ingress"):
        for backend in every("service", ingress):
            ports = {port["name"] for port in named("Service", backend["name"])["spec"]["ports"]}
            assert backend["port"]["name"] in ports
    assert named("Service", named("StatefulSet", "mosquitto")["spec"]["serviceName"])


def test_every_rule_of_the_network_is_about_somebody_and_all_are_closed_first() -> None:
    policies = of_kind("NetworkPolicy")
    closed = {"podSelector": {}, "policyTypes": ["Ingress", "Egress"]}
    assert closed in [policy["spec"] for policy in policies]
    for policy in policies:
        for selector in every("podSelector", policy["spec"]):
            assert any(selects(selector, labels) for labels in labels_of_pods()), title(policy)


def test_the_addresses_in_the_settings_are_services() -> None:
    settings = named("ConfigMap", "ronda-settings")["data"]
    host, _, port = settings["MLFLOW_TRACKING_URI"].removeprefix("http://").partition(":")
    assert named("Service", host)["spec"]["ports"][0]["port"] == int(port)
    assert host in settings["MLFLOW_ALLOWED_HOSTS"].split(",")
    ports = {port["containerPort"] for workload in of_kind("Deployment") for port in containers(workload)[0]["ports"]}
    assert int(settings["METRICS_PORT"]) in ports


def test_mosquitto_is_started_as_in_the_stack_of_containers() -> None:
    script = (ROOT / "deploy" / "compose" / "mosquitto.sh").read_text()
    assert named("ConfigMap", "mosquitto")["data"]["mosquitto.sh"] == script
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    (broker,) = [each for each in containers(named("StatefulSet", "mosquitto")) if each["name"] == "mosquitto"]
    assert broker["image"] == services["mosquitto"]["image"]
    # The folder of the configuration, which both hand to it.
    assert broker["command"][2:] == services["mosquitto"]["command"]
