"""The configuration and the alerts of Prometheus: taken by its own tool, and about series that exist."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml
from prometheus_client.registry import CollectorRegistry

from broker.embedded.counters import Counters, Status
from cloud.api.measures import Measures
from ronda.installation import AGENT_NAMES
from ronda.metrics.agents import AgentMetrics
from ronda.metrics.broker import BrokerCollector
from ronda.metrics.page import Metrics
from tests.support.grafana import queries
from tests.support.installation import ROOT
from tests.support.prometheus import CONFIGURATION

FOLDER = CONFIGURATION.parent
TIMELINES = Path(__file__).parent / "alerts.test.yml"
RULES = yaml.safe_load((FOLDER / "alerts.yml").read_text())["groups"][0]["rules"]
# Prometheus makes these itself.
_ITS_OWN = {"up"}


def promtool(*arguments: str | Path) -> None:
    done = subprocess.run(["promtool", *arguments], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def exported(folder: Path) -> set[str]:
    """The name of every series that a part of Ronda can tell, without what a histogram or counter adds."""
    metrics, measures, broker = Metrics(folder), Measures(), CollectorRegistry()
    AgentMetrics(metrics.registry)
    broker.register(BrokerCollector(lambda: Status(counters=Counters(), queues=[], retained=0, dead_letters=0)))
    families = [family for registry in (metrics.registry, measures.registry, broker) for family in registry.collect()]
    return {family.name + ("_total" if family.type == "counter" else "") for family in families}


def asked(expression: str) -> set[str]:
    """The series that an expression names."""
    names = re.findall(r"\b((?:ronda|process)_\w+|up)\b(?=[{\[\s)/+*>=<-]|$)", expression)
    return {re.sub(r"_(bucket|sum|count)$", "", name) for name in names}


def test_the_configuration_is_taken() -> None:
    promtool("check", "config", CONFIGURATION)
    promtool("check", "rules", FOLDER / "alerts.yml")


def test_the_alerts_wake_when_they_should_and_only_then() -> None:
    promtool("test", "rules", TIMELINES)


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_says_how_bad_it_is_what_happened_and_what_to_do_and_has_a_timeline(rule: dict) -> None:
    assert rule["labels"]["severity"] in {"critical", "warning"}
    assert {"summary", "description"} == set(rule["annotations"])
    assert rule["alert"] in TIMELINES.read_text()


def test_alerts_and_dashboard_ask_only_for_series_that_exist(tmp_path: Path) -> None:
    wanted = {name for rule in RULES for name in asked(rule["expr"])}
    wanted |= {name for _, query in queries() for name in asked(query)}
    assert "ronda_readings_stored_total" in wanted
    assert wanted - _ITS_OWN - exported(tmp_path) == set()


def test_the_api_each_agent_and_the_trainer_are_asked_on_the_port_that_the_stack_opens() -> None:
    jobs = yaml.safe_load(CONFIGURATION.read_text())["scrape_configs"]
    targets = {job["job_name"]: job["static_configs"][0]["targets"] for job in jobs}
    ours = ["ronda-api", "ronda-agents", "ronda-trainer"]
    hosts = [target.partition(":")[0] for job in ours for target in targets[job]]
    assert hosts == ["api", *AGENT_NAMES, "trainer"]
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    for job in ours:
        for host, _, port in (target.partition(":") for target in targets[job]):
            assert services[host]["environment"]["METRICS_PORT"] == port
