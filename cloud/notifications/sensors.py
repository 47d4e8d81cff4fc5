"""What people call the metrics, as labels and in a subject line; a name of the owner's own is shown as it is."""

from __future__ import annotations

from typing import NamedTuple

from cloud.notifications.notice import Language
from cloud.notifications.plain import one_line
from detection.words import human_name

# Between what is measured and where, in the spoken names: "vibration at the drive end", "vibração no lado acoplado".
_PLACE: dict[Language, str] = {"en": " at the ", "pt": " no "}


class SensorName(NamedTuple):
    """`full` says where it is measured, for tables: "Vibration, drive end"; `short` is for a subject: "vibration"."""

    full: str
    short: str


def sensor_name(metric: str, language: Language) -> SensorName:
    """The names of a metric, made from the one that the anomaly's sentence uses."""
    spoken = human_name(metric, language)
    if metric in spoken:
        return SensorName(one_line(metric), one_line(metric))
    what, _, where = spoken.partition(_PLACE[language])
    label = f"{what}, {where}" if where else what
    return SensorName(label[0].upper() + label[1:], what)
