"""What an alarm looks like, by everything that can tell: the classifier where it knows, else the rules, and where not.

The classifier has seen this plant's own faults, the rules have not; but it knows only what it was shown. Where the two
contradict each other, both are said.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence

import msgspec

from detection.classifier import UNKNOWN, Classifier, Naming, Reason
from detection.diagnosis import Diagnosis, diagnosed
from detection.explain import Findings
from detection.faults import listed


class By(enum.StrEnum):
    """Who thinks so."""

    RULE = "rule"
    CLASSIFIER = "classifier"


class Cause(msgspec.Struct, frozen=True, kw_only=True):
    """What it looks like: a help beside the evidence, never in its place.

    `fault` is one of `candidates`, or their family, or `unknown` where the classifier can only say "one of these".
    `sentence` by language (en, pt); `source` is what the rule cites, or the classifier's name.
    """

    fault: str
    by: str
    candidates: list[str]
    sentence: dict[str, str]
    source: str


_WORDS = {
    "en": {
        "known": "Looks like {fault}, as in earlier alarms",
        "between": "Looks like {faults}: earlier alarms of these look the same",
        "agree": "{known}; the rules allow it",
        "instead": "{known}; but by the rules it {looks}",
        "rule": "It {looks}: {faults}",
        "certain": "It {looks}",
        "narrowed": "It {looks}: {faults}, by the rules and by earlier alarms",
        "other": "It {looks}: {faults}; but earlier alarms that look the same were {others}",
    },
    "pt": {
        "known": "Parece {fault}, como em alarmes anteriores",
        "between": "Parece {faults}: alarmes anteriores desses casos são parecidos",
        "agree": "{known}; as regras o admitem",
        "instead": "{known}; mas pelas regras {looks}",
        "rule": "{looks}: {faults}",
        "certain": "{looks}",
        "narrowed": "{looks}: {faults}, pelas regras e por alarmes anteriores",
        "other": "{looks}: {faults}; mas alarmes anteriores parecidos foram {others}",
    },
}


def cause_of(found: Findings, classifier: Classifier | None = None, classifier_name: str = "") -> Cause | None:
    """What the findings look like; None where neither the rules nor the classifier tell."""
    rule = diagnosed(found)
    naming = classifier.name(found) if classifier else None
    if naming is not None and naming.reason is Reason.LIKE:
        return _learned(naming, rule, classifier_name)
    if rule is not None:
        return _ruled(rule, naming, classifier_name)
    if naming is not None and naming.reason is Reason.BETWEEN:
        said = _said("between", faults=naming.candidates)
        return _cause(UNKNOWN, By.CLASSIFIER, naming.candidates, said, classifier_name)
    return None


def _learned(naming: Naming, rule: Diagnosis | None, name: str) -> Cause:
    """The classifier knows; the rules may allow it, or say otherwise."""
    fault, known = naming.fault, _said("known", fault=[naming.fault])
    if rule is None:
        return _cause(fault, By.CLASSIFIER, [fault], known, name)
    if fault in rule.candidates:
        return _cause(fault, By.CLASSIFIER, [fault], _said("agree", known=known), name)
    both = [fault, *rule.candidates]
    return _cause(fault, By.CLASSIFIER, both, _said("instead", rule, known=known), f"{name}; {rule.source}")


def _ruled(rule: Diagnosis, naming: Naming | None, name: str) -> Cause:
    """The rules, narrowed by what the classifier holds possible too, or beside it where that is something else."""
    possible = naming.candidates if naming is not None else []
    both = [fault for fault in rule.candidates if fault in possible]
    if both and len(both) < len(rule.candidates):
        fault = both[0] if len(both) == 1 else rule.fault
        return _cause(fault, By.RULE, both, _said("narrowed", rule, faults=both), f"{rule.source}; {name}")
    if possible and not both:
        said = _said("other", rule, faults=rule.candidates, others=possible)
        return _cause(rule.fault, By.RULE, [*rule.candidates, *possible], said, f"{rule.source}; {name}")
    said = _said("certain" if len(rule.candidates) == 1 else "rule", rule, faults=rule.candidates)
    return _cause(rule.fault, By.RULE, rule.candidates, said, rule.source)


def _said(key: str, rule: Diagnosis | None = None, **parts: Sequence[str] | dict[str, str]) -> dict[str, str]:
    """The phrase by language; a list of faults is spelled out, a phrase by language put in."""
    said = {}
    for language, words in _WORDS.items():
        told = {
            part: value[language] if isinstance(value, dict) else listed(value, language)
            for part, value in parts.items()
        }
        looks = rule.looks[language] if rule else ""
        text = words[key].format(looks=looks, **told)
        said[language] = text[:1].upper() + text[1:]
    return said


def _cause(fault: str, by: By, candidates: Sequence[str], said: dict[str, str], source: str) -> Cause:
    sentence = {language: f"{text}." for language, text in said.items()}
    return Cause(fault=str(fault), by=by, candidates=list(candidates), sentence=sentence, source=source)
