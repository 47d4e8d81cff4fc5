"""The table of a campaign, as it is printed and kept."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from tests.faults.campaign import Result, Run

_COLUMNS = (
    f"{'fault':<62}{'runs':>5}{'hit':>5}{'readings':>10}{'lost':>6}{'doubled':>8}{'refused':>8}"
    f"{'median s':>10}{'max s':>7}"
)


def table(result: Result) -> str:
    """Per kind: runs, how many hit readings under way, readings, lost, doubled, refused, recovery; then the whole."""
    rule = "-" * len(_COLUMNS)
    kinds = sorted({run.fault.kind for run in result.runs})
    rows = [_row(kind, [run for run in result.runs if run.fault.kind == kind]) for kind in kinds]
    return "\n".join([_COLUMNS, rule, *rows, rule, *_sums(result)])


def _row(kind: str, of: Sequence[Run]) -> str:
    times = [run.recovery_s for run in of]
    readings, lost, doubled, refused = (sum(column) for column in zip(*(run.tally for run in of), strict=True))
    return (
        f"{kind:<62}{len(of):>5}{_hits(of):>5}{readings:>10}{lost:>6}{doubled:>8}{refused:>8}"
        f"{statistics.median(times):>10.1f}{max(times):>7.1f}"
    )


def _hits(runs: Sequence[Run]) -> int:
    return sum(run.hit.struck for run in runs)


def _sums(result: Result) -> list[str]:
    whole, alarms, mails = result.whole, result.alarms, result.mails
    lines = [
        f"{len(result.runs)} faults in {result.seconds:.0f} s, {_hits(result.runs)} that hit work in flight",
        f"readings sent {whole.readings}, lost {whole.lost}, doubled {whole.doubled}, refused {whole.refused} (by SQL)",
        f"ledger: {'; '.join(result.ledger_complaints) or 'agrees'}",
    ]
    if alarms.expected:
        wrong = f"missed {len(alarms.missed)}, doubled {len(alarms.doubled)}, false {len(alarms.false)}"
        lines.append(f"alarms: {alarms.expected} injected, {wrong}")
        lines.append(
            f"mails: {mails.expected} alarms, {len(mails.missed)} without one, {len(mails.several)} with two; "
            f"{len(mails.doubled)} Message-IDs came again, and their sender died {result.excused_mails} times"
        )
    return lines + [f"NOT KEPT: {complaint}" for complaint in result.complaints]
