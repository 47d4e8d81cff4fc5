"""What some faults need beside the plant, and whether this machine can give it."""

from __future__ import annotations

import functools
import os
import shutil
import subprocess
from pathlib import Path
from typing import Literal

# A disk of its own; a network of its own, with a wire that we carry packets over; a server of models.
Gear = Literal["disk", "wire", "mlflow"]

TUN = Path("/dev/net/tun")


def obstacles() -> dict[Gear, str]:
    """What cannot be had here, and why."""
    found: dict[Gear, str] = {}
    if os.geteuid() != 0:
        found["disk"] = "only root can mount a disk"
    if why := _no_wire():
        found["wire"] = why
    return found


@functools.cache
def _no_wire() -> str:
    if os.geteuid() != 0:
        return "only root can make a network namespace"
    if not TUN.exists():
        return f"there is no {TUN}"
    if shutil.which("ip") is None:
        return "iproute2 is not installed"
    name = f"ronda-try-{os.getpid()}"
    made = subprocess.run(["ip", "netns", "add", name], capture_output=True, text=True, check=False)
    subprocess.run(["ip", "netns", "delete", name], capture_output=True, check=False)
    return f"no network namespace can be made: {made.stderr.strip()}" if made.returncode else ""
