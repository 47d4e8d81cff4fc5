"""What can be wrong with a machine, by code, and what people call it in English and Portuguese."""

from __future__ import annotations

import enum
from collections.abc import Sequence


class Fault(enum.StrEnum):
    """A fault that a rule can name; verdicts and classifiers may know others, which keep the name they were given.

    The first five are those of the emulated pump; MECHANICAL, HYDRAULIC and HEAT are families, for when the sensors do
    not tell their members apart.
    """

    IMBALANCE = "imbalance"
    BEARING_WEAR = "bearing_wear"
    CAVITATION = "cavitation"
    BLOCKED_VALVE = "blocked_valve"
    OVERHEATING = "overheating"
    MISALIGNMENT = "misalignment"
    LOOSENESS = "looseness"
    SUCTION_LOSS = "suction_loss"
    WORN_IMPELLER = "worn_impeller"
    LEAK = "leak"
    OVERLOAD = "overload"
    SUPPLY_VOLTAGE = "supply_voltage"
    WARM_SURROUNDINGS = "warm_surroundings"
    OPERATING_POINT = "operating_point"
    MECHANICAL = "mechanical"
    HYDRAULIC = "hydraulic"
    HEAT = "heat"


_NAMES = {
    Fault.IMBALANCE: ("imbalance", "desbalanceamento"),
    Fault.BEARING_WEAR: ("bearing wear", "desgaste de mancal"),
    Fault.CAVITATION: ("cavitation", "cavitação"),
    Fault.BLOCKED_VALVE: ("a closed or blocked discharge", "recalque fechado ou obstruído"),
    Fault.OVERHEATING: ("poor cooling of the motor", "má refrigeração do motor"),
    Fault.MISALIGNMENT: ("misalignment", "desalinhamento"),
    Fault.LOOSENESS: ("looseness", "folga mecânica"),
    Fault.SUCTION_LOSS: ("blocked suction or air in it", "sucção obstruída ou com ar"),
    Fault.WORN_IMPELLER: ("a worn or damaged impeller", "rotor desgastado ou danificado"),
    Fault.LEAK: ("a leak", "vazamento"),
    Fault.OVERLOAD: ("overload", "sobrecarga"),
    Fault.SUPPLY_VOLTAGE: ("the supply voltage", "tensão da rede"),
    Fault.WARM_SURROUNDINGS: ("warm surroundings", "ambiente quente"),
    Fault.OPERATING_POINT: ("another operating point", "outro ponto de operação"),
    Fault.MECHANICAL: ("a mechanical fault", "falha mecânica"),
    Fault.HYDRAULIC: ("a hydraulic fault", "falha hidráulica"),
    Fault.HEAT: ("heat that no load explains", "calor que a carga não explica"),
}
_OR = {"en": "or", "pt": "ou"}


def called(fault: str, language: str) -> str:
    """What people call the fault; one that is not in the table by its own words."""
    if fault not in _NAMES:
        return fault.replace("_", " ")
    english, portuguese = _NAMES[Fault(fault)]
    return portuguese if language == "pt" else english


def listed(faults: Sequence[str], language: str) -> str:
    """One or more of them: "imbalance, misalignment or looseness"."""
    *first, last = [called(fault, language) for fault in faults]
    return f"{', '.join(first)} {_OR[language]} {last}" if first else last
