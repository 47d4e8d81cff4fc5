"""What an alarm looks like, by rules that a technician could read out: a likely fault, a few candidates, or silence.

A rule (`detection.rules`) says what several sensors did together, and its source is what says so. One that covers more
than one fault names their family and lists them: with these sensors nobody could say more.
"""

from __future__ import annotations

import msgspec

from detection.explain import Findings
from detection.kinds import Kind
from detection.roles import Place, role_of
from detection.rules import RULES
from detection.signs import Signs

# A limit, a stuck sensor and a trend are about one sensor; the rules compare several.
_SPEAKS_OF_SEVERAL = frozenset({Kind.LEVEL, Kind.JUMP, Kind.ROUGHNESS})


class Diagnosis(msgspec.Struct, frozen=True, kw_only=True):
    """What it looks like: `looks` completes "it …" by language (en, pt), such as "looks mechanical, not load".

    `fault` is one of `candidates`, or the family of them all. `rule` is the name of the rule that held.
    """

    rule: str
    fault: str
    candidates: list[str]
    looks: dict[str, str]
    source: str


def diagnosed(found: Findings) -> Diagnosis | None:
    """What the findings look like; None where the rules do not tell."""
    if found.kind not in _SPEAKS_OF_SEVERAL:
        return None
    signs = Signs(found)
    rule = next((rule for rule in RULES if rule.holds(signs)), None)
    if rule is None:
        return None
    english, portuguese = (text.format(end=end) for text, end in zip(rule.looks, _end(signs), strict=True))
    return Diagnosis(
        rule=rule.name,
        fault=rule.fault,
        candidates=[str(fault) for fault in rule.candidates],
        looks={"en": english, "pt": portuguese},
        source=rule.source,
    )


def _end(signs: Signs) -> tuple[str, str]:
    """Where the shaken bearing is, in English and Portuguese; empty where its name does not tell."""
    sensor = signs.shaken_end
    place = role_of(sensor.name, sensor.unit).place if sensor else None
    if place is Place.DRIVE_END:
        return " at the drive end", " no lado acoplado"
    return (" at the non-drive end", " no lado oposto ao acoplamento") if place is Place.OTHER_END else ("", "")
