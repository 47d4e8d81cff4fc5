"""Recordings for `ronda try`, written as loggers write them: an emulated pump that is blocked, and small tables."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from edge.faults import Fault, FaultKind
from edge.pump import Pump

START_S = 1_763_800_000
ROWS, ONSET = 1500, 1200
NOW_MS = 1_800_000_000_000


def pump_csv(folder: Path, *, fault: bool = True, name: str = "pump-07.csv") -> Path:
    """25 minutes of a pump at 1 Hz with a label; its valve is blocked from row ONSET on, if it is."""
    pump = Pump(3)
    faults = [Fault(kind=FaultKind.BLOCKED_VALVE, onset_s=START_S + ONSET, ramp_s=20)] if fault else []
    lines = [",".join(["time", *pump.metrics, "anomaly"])]
    for row, values in enumerate(pump.measure(START_S, ROWS, faults)):
        at = datetime.fromtimestamp(START_S + row, UTC).strftime("%Y-%m-%d %H:%M:%S")
        lines.append(",".join([at, *map(str, values), str(int(fault and row >= ONSET))]))
    return written(folder / name, "\n".join(lines))


def table(head: str | None, rows: int, row: str) -> str:
    """`rows` lines: `{i}` is the row's number, `{m}` and `{s}` its minute and second, `{a}` and `{b}` are values."""
    lines = [head] if head else []
    for i in range(rows):
        a, b = (i * 7919 % 101) / 10 + 0.05, (i * 104_729 % 97) / 7 + 20
        lines.append(row.format(i=i, s=f"{i % 60:02}", m=f"{i // 60:02}", a=f"{a:.3f}", b=f"{b:.3f}"))
    return "\n".join(lines) + "\n"


def written(path: Path, text: str | bytes) -> Path:
    """The file with this in it."""
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path
