"""Grafana's dashboard as a file: whole, in order, and tied to the data source that is provisioned with it."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import pytest
import yaml

from tests.support.grafana import DASHBOARD, GRAFANA, PANELS

# The widths of Grafana's grid.
COLUMNS = 24


def provisioned(path: str) -> dict[str, Any]:
    return dict(yaml.safe_load((GRAFANA / "provisioning" / path).read_text()))


def test_no_two_panels_have_one_id() -> None:
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))


def test_every_panel_asks_the_source_that_is_provisioned() -> None:
    (source,) = provisioned("datasources/prometheus.yml")["datasources"]
    used = [panel["datasource"] for panel in PANELS]
    used += [target["datasource"] for panel in PANELS for target in panel["targets"]]
    used += [each["datasource"] for each in DASHBOARD["annotations"]["list"]]
    assert used
    assert all(each == {"type": source["type"], "uid": source["uid"]} for each in used)


def test_the_provider_looks_into_one_folder_only() -> None:
    (provider,) = provisioned("dashboards/ronda.yml")["providers"]
    assert provider["type"] == "file"
    assert provider["options"]["path"].startswith("/var/lib/grafana/")


@pytest.mark.parametrize("panel", PANELS, ids=lambda panel: panel["title"])
def test_a_panel_has_a_title_a_word_about_it_a_unit_and_a_question(panel: dict[str, Any]) -> None:
    assert panel["title"]
    assert panel["description"].endswith(".")
    assert panel["fieldConfig"]["defaults"]["unit"]
    letters = [target["refId"] for target in panel["targets"]]
    assert letters
    assert len(letters) == len(set(letters))


def test_no_panel_lies_on_another_or_beyond_the_edge() -> None:
    places = [panel["gridPos"] for panel in DASHBOARD["panels"]]
    assert all(place["x"] >= 0 and place["x"] + place["w"] <= COLUMNS for place in places)
    for one, other in combinations(places, 2):
        beside = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert beside or above, (one, other)


def test_each_line_of_panels_fills_the_page() -> None:
    lines: dict[int, int] = {}
    for panel in DASHBOARD["panels"]:
        lines[panel["gridPos"]["y"]] = lines.get(panel["gridPos"]["y"], 0) + panel["gridPos"]["w"]
    assert set(lines.values()) == {COLUMNS}
