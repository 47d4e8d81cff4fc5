"""Rules and classifier together: the classifier where it knows, else the rules; a contradiction is always said."""

from __future__ import annotations

import math

import pytest
from hypothesis import given

from detection.classifier import UNKNOWN, Classifier, Signature
from detection.explain import Findings
from detection.kinds import Kind
from detection.naming import By, Cause, cause_of
from tests.detection.test_diagnosis import VIBRATIONS, findings
from tests.support.findings import CALM, pump

NAME = "faults.plant-1 v3"
BOTH_ENDS = pump(**VIBRATIONS)
FLOW_LESS = pump(flow_lpm=-9.0, pressure_bar=5.0, current_a=-6.0)


def signature(fault: str, kind: Kind = Kind.LEVEL, least_lead: float = 0.2, **weights: float) -> Signature:
    length = math.hypot(*weights.values())
    at = [weights.get(channel, 0.0) / length for channel in CALM]
    return Signature(fault=fault, kind=kind, direction=at, least_likeness=0.7, least_lead=least_lead, sources=3)


def classifier(*signatures: Signature) -> Classifier:
    known = Classifier(channels=list(CALM), signatures=list(signatures))
    known.check()
    return known


def cause(found: Findings, known: Classifier | None = None) -> Cause:
    said = cause_of(found, known, NAME if known else "")
    assert said is not None
    return said


SHAKEN = signature("imbalance", vibration_de_rms_g=8.0, vibration_nde_rms_g=5.0)
SHAKEN_TOO = signature("misalignment", vibration_de_rms_g=7.5, vibration_nde_rms_g=5.5)
SEAL = signature("seal_leak", vibration_de_rms_g=8.0, vibration_nde_rms_g=5.0)
SEAL_TOO = signature("glands", vibration_de_rms_g=7.5, vibration_nde_rms_g=5.5)
QUITE_OTHER = signature("leak", fluid_temperature_c=1.0)


def test_without_a_classifier_the_rule_speaks_and_lists_its_candidates() -> None:
    said = cause(BOTH_ENDS)
    assert (said.by, said.fault) == (By.RULE, "mechanical")
    assert said.sentence == {
        "en": "It looks mechanical, not load: imbalance, misalignment, looseness or bearing wear.",
        "pt": "Parece mecânico, não de carga: desbalanceamento, desalinhamento, folga mecânica ou desgaste de mancal.",
    }
    assert "ISO 13373-3" in said.source


def test_a_rule_with_one_candidate_says_it_once() -> None:
    said = cause(FLOW_LESS)
    assert said.sentence["en"] == "It looks like a closing or blocked discharge."
    assert (said.fault, said.candidates) == ("blocked_valve", ["blocked_valve"])


def test_the_classifier_speaks_where_it_knows_and_the_rules_allow_it() -> None:
    said = cause(BOTH_ENDS, classifier(SHAKEN))
    assert (said.by, said.fault, said.candidates, said.source) == (By.CLASSIFIER, "imbalance", ["imbalance"], NAME)
    assert said.sentence["pt"] == "Parece desbalanceamento, como em alarmes anteriores; as regras o admitem."


def test_a_contradiction_is_said_and_both_views_are_candidates() -> None:
    said = cause(BOTH_ENDS, classifier(SEAL))
    assert (said.by, said.fault) == (By.CLASSIFIER, "seal_leak")
    assert said.candidates == ["seal_leak", "imbalance", "misalignment", "looseness", "bearing_wear"]
    assert "but by the rules it looks mechanical, not load" in said.sentence["en"]
    assert "mas pelas regras parece mecânico" in said.sentence["pt"]
    assert NAME in said.source
    assert "ISO" in said.source


def test_where_the_classifier_does_not_know_the_rule_speaks_alone() -> None:
    assert cause(BOTH_ENDS, classifier(QUITE_OTHER)) == cause(BOTH_ENDS)


def test_two_that_the_classifier_cannot_tell_apart_narrow_the_rules_candidates() -> None:
    said = cause(BOTH_ENDS, classifier(SHAKEN, SHAKEN_TOO))
    assert (said.by, said.fault, said.candidates) == (By.RULE, "mechanical", ["imbalance", "misalignment"])
    assert "imbalance or misalignment, by the rules and by earlier alarms" in said.sentence["en"]


def test_one_that_both_hold_possible_is_the_fault() -> None:
    said = cause(BOTH_ENDS, classifier(SHAKEN, SEAL_TOO))
    assert (said.fault, said.candidates) == ("imbalance", ["imbalance"])


def test_two_that_the_rules_know_nothing_of_are_said_beside_them() -> None:
    said = cause(BOTH_ENDS, classifier(SEAL, SEAL_TOO))
    assert said.fault == "mechanical"
    assert set(said.candidates) >= {"imbalance", "seal_leak", "glands"}
    assert "but earlier alarms that look the same were" in said.sentence["en"]


def test_where_the_rules_are_silent_the_classifier_speaks() -> None:
    warm = pump(fluid_temperature_c=6.0)
    assert cause_of(warm) is None
    known = cause(warm, classifier(QUITE_OTHER))
    assert (known.fault, known.source) == ("leak", NAME)
    twins = signature("drain", fluid_temperature_c=1.0)
    between = cause(warm, classifier(QUITE_OTHER, twins))
    assert (between.fault, between.by, sorted(between.candidates)) == (UNKNOWN, By.CLASSIFIER, ["drain", "leak"])


@pytest.mark.parametrize("kind", [Kind.LIMIT, Kind.STUCK, Kind.TREND])
def test_of_a_limit_or_a_lying_sensor_nothing_is_said(kind: Kind) -> None:
    assert cause_of(pump(kind, **VIBRATIONS), classifier(SHAKEN)) is None


@given(findings)
def test_no_findings_are_too_strange_to_be_named(any_findings: Findings) -> None:
    for known in (None, classifier(SHAKEN, SHAKEN_TOO), classifier(SEAL, QUITE_OTHER)):
        said = cause_of(any_findings, known, NAME)
        if said is not None:
            assert said.by in set(By)
            assert said.candidates
            assert set(said.sentence) == {"en", "pt"}
            assert said.fault in said.candidates or len(said.candidates) > 1
            assert all(text.endswith(".") and "{" not in text for text in said.sentence.values())
