"""From an hour of compared inputs to the event that says it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from contract.events import ChannelDrift, InputDriftedEvent
from detection.drift_watch import DriftWatch, Hour
from detection.model import Model

if TYPE_CHECKING:
    from cloud.agents.assets import Asset


def input_watch(model: Model, state: bytes | None = None) -> DriftWatch:
    """Compares hours with what `model` learned from; a `state` that another model left counts for nothing."""
    return DriftWatch(dict(zip(model.metrics, model.deciles, strict=True)), model.rows, state=state)


def drift_event(asset: Asset, hour: Hour) -> InputDriftedEvent:
    """What `hour` shows of every channel."""
    return InputDriftedEvent(
        site=asset.site,
        device=asset.device,
        channels=[
            ChannelDrift(name=one.name, psi=one.psi, ks=one.ks, p_value=one.p_value, drifted=one.drifted)
            for one in hour.channels
        ],
        from_ms=hour.from_ms,
        through_ms=hour.through_ms,
        readings=hour.readings,
        model=asset.model,
    )
