"""Kill, cut, fill and freeze a plant at work, many times over, and count by SQL what became of its readings.

`make bench-faults ARGS="--faults 200 --broker mosquitto --seed 7"`. The same seed strikes in the same order with the
same draws; how far each process had come by then is the machine's own affair, and printed with each fault.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import platform
import signal
import sys
import tempfile
from pathlib import Path

from cloud.models.environment import QUIET
from tests.faults.campaign import FAULTS, Result, campaign, chosen, chosen_for_whole
from tests.faults.plant import Plant
from tests.faults.report import table
from tests.faults.whole import WHOLE, Whole


def main(arguments: list[str]) -> None:
    """Run, print the table, and fail when a promise was not kept."""
    parser = argparse.ArgumentParser(prog="make bench-faults")
    parser.add_argument("--faults", type=int, default=200, help="how many")
    parser.add_argument("--whole", type=int, help="how many of them to a whole `ronda up`; by default a tenth")
    parser.add_argument("--broker", choices=["embedded", "mosquitto"], default="mosquitto")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", default=[], help="kinds that contain this; may be said again")
    parser.add_argument("--evidence", type=Path, help="the folder to write faults-BROKER.txt into")
    parser.add_argument("--keep", type=Path, help="the folder that the plant works in, kept afterwards")
    asked = parser.parse_args(arguments)
    # The senders tell of every reconnection; the table is to be read.
    logging.disable(logging.CRITICAL)
    os.environ |= QUIET | {"MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT": "true"}
    with tempfile.TemporaryDirectory(prefix="ronda-faults-", ignore_cleanup_errors=True) as own:
        lines, result = asyncio.run(_run(asked, asked.keep or Path(own)))
    print(table(result))
    if asked.evidence is not None:
        asked.evidence.mkdir(parents=True, exist_ok=True)
        text = "\n".join([*_heading(asked), table(result), "", "Each fault:", *lines, ""])
        (asked.evidence / f"faults-{asked.broker}.txt").write_text(text, encoding="utf-8")
    sys.exit(1 if result.complaints else 0)


async def _run(asked: argparse.Namespace, folder: Path) -> tuple[list[str], Result]:
    lines: list[str] = []
    # Told to stop, it still takes away its processes, disks and networks.
    work = asyncio.current_task()
    assert work is not None
    for told in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(told, work.cancel)

    def tell(line: str) -> None:
        lines.append(line)
        print(line, flush=True)

    whole = asked.faults // 10 if asked.whole is None else asked.whole
    faults = chosen(asked.faults - whole, asked.broker, asked.seed, asked.only)
    for line in _heading(asked):
        print(line)
    gear = {fault.needs for fault in faults if fault.needs is not None}
    async with Plant(folder, asked.broker, asked.seed, gear) as plant:
        result = await campaign(plant, faults, tell)
    if whole:
        async with Whole(folder, asked.broker, asked.seed) as ronda:
            result = result.plus(await campaign(ronda, chosen_for_whole(whole, asked.seed), tell))
    return lines, result


def _heading(asked: argparse.Namespace) -> list[str]:
    kinds = len(FAULTS) + len(WHOLE)
    machine = f"{os.cpu_count()} cores, Python {platform.python_version()}, {platform.system()} {platform.release()}"
    return [
        f"{asked.faults} faults of {kinds} kinds, broker {asked.broker}, seed {asked.seed}",
        f"{machine}; every part a process of its own, senders' patience 2 s (the product's is 10)",
        "",
    ]
