"""The dashboard as data: its panels and what they ask."""

from __future__ import annotations

import json
from typing import Any

from tests.support.installation import ROOT

GRAFANA = ROOT / "deploy" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboards" / "ronda.json").read_text(encoding="utf-8"))
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]


def queries() -> list[tuple[str, str]]:
    """(title of the panel and letter, query) of everything the dashboard asks."""
    return [
        (f"{panel['title']} {target['refId']}", str(target["expr"])) for panel in PANELS for target in panel["targets"]
    ]
