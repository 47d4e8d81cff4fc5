"""The table of a campaign, as it is printed and kept."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from tests.faults.campaign import FAULTS, Result, Run
from tests.faults.gear import obstacles

_COLUMNS = (
    f"{'fault':<62}{'runs':>5}{'hit':>5}{'in flight':>11}{'readings':>10}{'lost':>6}{'doubled':>8}{'refused':>8}"
    f"{'median s':>10}{'max s':>7}"
)


def table(result: Result) -> str:
    """Per kind: runs, how many hit work, readings in flight then (median), what became of all of its time, recovery."""
    rule = "-" * len(_COLUMNS)
    kinds = sorted({run.fault.kind for run in result.runs})
    rows = [_row(kind, [run for run in result.runs if run.fault.kind == kind]) for kind in kinds]
    return "\n".join([_COLUMNS, rule, *rows, rule, *_sums(result), *left_out()])


def left_out() -> list[str]:
    """A line for each sort of fault that this machine cannot have, with the reason."""
    return [
        f"left out, {sum(fault.needs == gear for fault in FAULTS)} kinds that need a {gear}: {why}"
        for gear, why in obstacles().items()
    ]


def _row(kind: str, of: Sequence[Run]) -> str:
    times = [run.recovery_s for run in of]
    in_flight = statistics.median(run.hit.under_way for run in of)
    readings, lost, doubled, refused = (sum(column) for column in zip(*(run.tally for run in of), strict=True))
    return (
        f"{kind:<62}{len(of):>5}{_hits(of):>5}{in_flight:>11.0f}{readings:>10}{lost:>6}{doubled:>8}{refused:>8}"
        f"{statistics.median(times):>10.1f}{max(times):>7.1f}"
    )


def _hits(runs: Sequence[Run]) -> int:
    return sum(run.hit.struck for run in runs)


def _sums(result: Result) -> list[str]:
    whole, alarms, mails, beyond = result.whole, result.alarms, result.mails, result.beyond
    times = [run.recovery_s for run in result.runs]
    lines = [
        f"{len(result.runs)} faults in {result.seconds:.0f} s, {_hits(result.runs)} that hit work in flight",
        f"recovery: median {statistics.median(times):.1f} s, longest {max(times):.1f} s" if times else "no fault",
        f"readings sent {whole.readings}, lost {whole.lost}, doubled {whole.doubled}, refused {whole.refused} (by SQL)",
        f"ledger: {'; '.join(result.ledger_complaints) or 'agrees'}",
        f"HTTP clients were answered {_answers(result)}; what was not answered 201 was sent again",
    ]
    if beyond.acknowledged:
        lines.append(
            f"machines that cannot count, behind the gateway: {beyond.acknowledged} readings acknowledged by their "
            f"broker; {beyond.missing} were lost with its memory, which died {beyond.excused} times; "
            f"{beyond.again} came twice"
        )
    if alarms.expected:
        wrong = f"missed {len(alarms.missed)}, doubled {len(alarms.doubled)}, false {len(alarms.false)}"
        lines.append(f"alarms: {alarms.expected} injected, {wrong}")
        lines.append(
            f"mails: {mails.expected} alarms, {len(mails.missed)} without one, {len(mails.several)} with two; "
            f"{len(mails.doubled)} Message-IDs came again, and their sender died {result.excused_mails} times"
        )
    return lines + [f"NOT KEPT: {complaint}" for complaint in result.complaints]


def _answers(result: Result) -> str:
    return ", ".join(f"{status or 'nothing'} {times} times" for status, times in sorted(result.answers.items()))
