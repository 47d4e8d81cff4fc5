"""How much may a machine vibrate? The evaluation zones of ISO 20816 and its predecessors, by class of machine.

Zone A: as new. B: fine for long-term running. C: not for long, plan a repair. D: damage is likely. The boundaries are
r.m.s. velocities on the bearing housings, in mm/s, over 10 to 1000 Hz; acceleration and displacement have none here.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping

import msgspec

from detection.errors import DetectionError

SOURCE = "iso20816"
# The international inch, exact since 1959.
MM_PER_INCH = 25.4

_TO_MM_S = {"mm/s": 1.0, "in/s": MM_PER_INCH, "ips": MM_PER_INCH, "cm/s": 10.0, "m/s": 1000.0}
_ACCELERATIONS = frozenset({"g", "mg", "m/s²", "m/s2", "m/s^2", "mm/s²", "mm/s2", "mm/s^2", "in/s²"})
_DISPLACEMENTS = frozenset({"µm", "μm", "um", "mm", "mil", "mils", "in"})
# Peak values of a velocity are at least 1.4 times its r.m.s., and nobody knows how much more.
_NOT_RMS = re.compile(r"(?:^|[\W_])(?:peak|pk|0-pk|pk-pk|pp|p2p)(?:$|[\W_])", re.IGNORECASE)
_RMS = re.compile(r"\s*\(?r\.?m\.?s\.?\)?$", re.IGNORECASE)


class Boundary(enum.StrEnum):
    """Between two zones: beyond B/C a person is warned, beyond C/D it is critical."""

    B_C = "B/C"
    C_D = "C/D"


class MachineClass(msgspec.Struct, frozen=True):
    """A class of machines: its boundaries A/B, B/C and C/D in mm/s r.m.s., and what it is called (en, pt)."""

    standard: str
    boundaries: tuple[float, float, float]
    name: Mapping[str, str]

    def at(self, boundary: Boundary) -> float:
        """The velocity at a boundary, in mm/s."""
        return self.boundaries[1 if boundary is Boundary.B_C else 2]


def _class(standard: str, boundaries: tuple[float, float, float], en: str, pt: str) -> MachineClass:
    return MachineClass(standard, boundaries, {"en": en, "pt": pt})


# ISO 20816-3:2022 has the velocities of tables A.1 and A.2 of ISO 10816-3:2009. Group 1: above 300 kW, or electric
# machines with a shaft height of 315 mm and more; group 2: above 15 up to 300 kW, or 160 up to 315 mm. A support is
# rigid when its lowest natural frequency in the direction of measurement is at least 25 % above the main excitation.
_PART_3 = "ISO 20816-3"
# ISO 10816-7:2009, table A.1, rotodynamic pumps of more than 1 kW. Category I: high reliability, availability or safety
# is asked for, such as with toxic or hot liquids; II: general use.
_PART_7 = "ISO 10816-7"
# ISO 10816-1:1995, table B.1, informative, long withdrawn and still on many walls. I: parts of machines, motors to
# 15 kW; II: 15 to 75 kW; III: large on rigid, IV: large on soft foundations.
_PART_1 = "ISO 10816-1"

CLASSES: Mapping[str, MachineClass] = {
    "group1-rigid": _class(_PART_3, (2.3, 4.5, 7.1), "group 1 rigid", "grupo 1 rígido"),
    "group1-flexible": _class(_PART_3, (3.5, 7.1, 11.0), "group 1 flexible", "grupo 1 flexível"),
    "group2-rigid": _class(_PART_3, (1.4, 2.8, 4.5), "group 2 rigid", "grupo 2 rígido"),
    "group2-flexible": _class(_PART_3, (2.3, 4.5, 7.1), "group 2 flexible", "grupo 2 flexível"),
    "pump1-to-200kw": _class(_PART_7, (2.5, 4.0, 6.6), "category I to 200 kW", "categoria I até 200 kW"),
    "pump1-above-200kw": _class(_PART_7, (3.5, 5.0, 7.6), "category I above 200 kW", "categoria I acima de 200 kW"),
    "pump2-to-200kw": _class(_PART_7, (3.2, 5.1, 8.5), "category II to 200 kW", "categoria II até 200 kW"),
    "pump2-above-200kw": _class(_PART_7, (4.2, 6.1, 9.5), "category II above 200 kW", "categoria II acima de 200 kW"),
    "class1": _class(_PART_1, (0.71, 1.8, 4.5), "class I", "classe I"),
    "class2": _class(_PART_1, (1.12, 2.8, 7.1), "class II", "classe II"),
    "class3": _class(_PART_1, (1.8, 4.5, 11.2), "class III", "classe III"),
    "class4": _class(_PART_1, (2.8, 7.1, 18.0), "class IV", "classe IV"),
}


def machine_class(key: str) -> MachineClass:
    """The class of that name. Raises: DetectionError that lists those there are."""
    if key not in CLASSES:
        raise DetectionError(f"there is no machine class {key!r}; choose one of {', '.join(CLASSES)}")
    return CLASSES[key]


def mm_s_per(unit: str, metric: str) -> float:
    """How many mm/s r.m.s. one `unit` of the metric is. Raises: DetectionError for what has no zone, saying why."""
    plain = _RMS.sub("", unit.strip()).lower()
    if plain in _TO_MM_S and not _NOT_RMS.search(metric):
        return _TO_MM_S[plain]
    raise DetectionError(f"{metric}: {_why_not(unit, plain)}: measure the velocity in mm/s r.m.s. over 10 to 1000 Hz")


def label(key: str, boundary: Boundary) -> str:
    """What a limit of the standard is called where it is stored, such as `group2-rigid C/D`."""
    return f"{key} {boundary}"


def class_of(stored: str) -> str:
    """The reverse of `label`: the class alone."""
    return stored.partition(" ")[0]


def spoken(stored: str, language: str) -> str:
    """A stored label as people say it: "ISO 20816-3, zone C/D, group 2 rigid"; one that is not ours as it is."""
    key, _, boundary = stored.partition(" ")
    found = CLASSES.get(key)
    zone = "zona" if language == "pt" else "zone"
    return stored if found is None else f"{found.standard}, {zone} {boundary}, {found.name[language]}"


def _why_not(unit: str, plain: str) -> str:
    if plain in _TO_MM_S:
        return "a peak value has no ISO 20816 zone"
    if plain in _ACCELERATIONS:
        return f"acceleration in {unit} has no ISO 20816 zone"
    if plain in _DISPLACEMENTS:
        return f"displacement in {unit} has no ISO 20816 zone here"
    return f"{unit!r} is no unit of velocity, and ISO 20816 zones are" if unit else "its unit is not registered"
