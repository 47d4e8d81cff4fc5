"""What it looks like, beside the evidence, in the reader's language and with who says so."""

from __future__ import annotations

from datetime import UTC

import pytest
from dash.development.base_component import Component

from dashboard.evidence import cause
from dashboard.facts import Anomaly, fact
from dashboard.language import Words
from tests.dashboard.plant import CAUSE, anomaly


def lines(shown: Component | None) -> list[str]:
    return [] if shown is None else [paragraph.children for paragraph in shown.children]


def test_a_rule_is_told_with_what_it_cites() -> None:
    told, source = lines(cause(fact(Anomaly, anomaly()), Words("en", UTC)))
    assert told == "It looks mechanical, not load: imbalance or misalignment."
    assert source == "By rule: ISO 13373-3:2015, guidelines for vibration diagnosis"


def test_a_classifier_is_told_with_its_name_in_the_readers_language() -> None:
    learned = {**CAUSE, "by": "classifier", "source": "faults.plant-1 v3"}
    told, source = lines(cause(fact(Anomaly, anomaly(cause=learned)), Words("pt", UTC)))
    assert told.startswith("Parece mecânico")
    assert source == "Aprendido de alarmes anteriores: faults.plant-1 v3"


@pytest.mark.parametrize("nothing", [None, {**CAUSE, "sentence": {}}])
def test_where_nothing_tells_nothing_is_shown(nothing: object) -> None:
    assert lines(cause(fact(Anomaly, anomaly(cause=nothing)), Words("en", UTC))) == []
