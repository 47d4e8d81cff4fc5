"""The places to die are there, and whoever passes one that is armed dies there and nowhere else."""

from __future__ import annotations

import asyncio
import importlib
import json
import signal
import sys
from pathlib import Path

import pytest

from tests.faults.processes import ROOT
from tests.faults.seams import SEAMS, Control, Seam, When, work_in

_PROGRAM = """
import asyncio, sys
from pathlib import Path
from tests.faults import seams

class Step:
    async def take(self, things):
        for _ in range(10):
            await asyncio.sleep(0)
        print("taken", flush=True)

sys.modules["step"] = sys.modules["__main__"]
seams.SEAMS = tuple(seams.Seam("part", when, "step:Step.take", when) for when in seams.When)
seams.wrap("part", seams.Control(Path(sys.argv[1])))
for _ in range(5):
    asyncio.run(Step().take([1, 2]))
"""


@pytest.mark.parametrize("seam", SEAMS, ids=lambda seam: f"{seam.part} {seam.name}")
def test_every_seam_is_at_a_step_that_there_is(seam: Seam) -> None:
    module, _, path = seam.target.partition(":")
    found = importlib.import_module(module)
    for name in path.split("."):
        found = getattr(found, name)
    assert callable(found)


@pytest.mark.parametrize(("when", "taken"), [(When.BEFORE, 2), (When.UNDER_WAY, 2), (When.AFTER, 3)])
async def test_the_process_dies_at_the_armed_pass_and_says_with_what(tmp_path: Path, when: When, taken: int) -> None:
    Control(tmp_path).arm(Seam("part", when, "step:Step.take", when), 3)
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", _PROGRAM, str(tmp_path), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == -signal.SIGKILL
    assert said.split() == [b"taken"] * taken
    told = json.loads(Control(tmp_path).deaths.read_text())
    assert told == {"seam": when, "work": "2 int", "pid": process.pid}


def test_what_agents_say_of_themselves_is_no_work() -> None:
    assert work_in((None, [("ronda-chain/v1/agent/historian/0-63", b"{}")])) == ""
    assert work_in((None, [("ronda/v1/plant-1/pump-07/stored", b"{}")])) == "1 messages"
    assert work_in((None, [])) == ""
