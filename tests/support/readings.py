"""Readings as the validation agent passes them on: a pump's blocks, with values that follow from their number."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from contract.errors import Reason
from contract.events import ReadingRejectedEvent, ValidatedDataEvent

# 22 November 2025, 08:26:40 UTC.
START_MS = 1_763_800_000_000
SITE, DEVICE, BOOT = "plant-1", "pump-07", "9f2c41d07be3a655"
METRICS = ("vibration_de_rms_g", "current_a", "temperature_c")


def block(seqs: Sequence[int], **changes: Any) -> ValidatedDataEvent:
    """A block of pump-07's readings with these numbers, one a second; `changes` replace fields."""
    event = ValidatedDataEvent(
        site=SITE,
        device=DEVICE,
        boot=BOOT,
        received_at_ms=START_MS,
        metrics=list(METRICS),
        seq=list(seqs),
        measured_at_ms=[START_MS + 1000 * seq for seq in seqs],
        values=[[seq + at / 10 for seq in seqs] for at in range(len(METRICS))],
    )
    return msgspec.structs.replace(event, **changes)


def rejected(seq: int | None, **changes: Any) -> ReadingRejectedEvent:
    """The refusal of pump-07's reading with this number, or of a message without one."""
    event = ReadingRejectedEvent(
        site=SITE,
        device=DEVICE,
        stage="validation",
        reason=Reason.OUT_OF_RANGE,
        detail="temperature_c 900 is outside -40 to 200",
        topic=f"ronda/v1/{SITE}/{DEVICE}/telemetry",
        payload=f'{{"seq": {seq}}}'.encode(),
        received_at_ms=START_MS,
        boot=None if seq is None else BOOT,
        seq=seq,
    )
    return msgspec.structs.replace(event, **changes)
