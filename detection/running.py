"""What a machine is doing, in the words of its tile."""

from __future__ import annotations

import enum

from detection.model import Model
from detection.regimes import STARTING, UNSEEN

# A gateway that loses ten windows in a row does not do so by chance: the device measures more rarely than it did when
# the model was learned.
HOLES_TO_DOUBT = 10


class Running(enum.StrEnum):
    """What the machine is doing."""

    OFF = "off"
    STARTING = "starting"
    RUNNING = "running"
    LEARNING = "learning"


def running_at(place: int | None, model: Model, unjudged_holes: int) -> Running:
    """Off, starting (or changing speed, or stopping), running, or learning: there is nothing to judge it by yet.

    It then runs as it was never seen to (`place`), or too briefly, or measures too rarely for what was learned:
    `unjudged_holes` windows in a row were emptied by a hole in the data, and no row has been judged since.
    """
    if place is not None and place == model.regimes.off:
        return Running.OFF
    if place == STARTING:
        return Running.STARTING
    unknown = place is not None and (place == UNSEEN or model.normals[place] is None)
    return Running.LEARNING if unknown or unjudged_holes >= HOLES_TO_DOUBT else Running.RUNNING
