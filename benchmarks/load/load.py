"""What both load scripts share: an account for each user, readings that never repeat, and the count at the end."""

from __future__ import annotations

import itertools
import json
import math
import os
import secrets
import time
from pathlib import Path
from typing import Any

import gevent
from locust import events
from locust.env import Environment

# How many readings a second each user sends, and how many of them in one message.
RATE = float(os.environ.get("RONDA_LOAD_RATE", "10"))
BATCH = int(os.environ.get("RONDA_LOAD_BATCH", "1"))
# Long enough for the store to confirm what is under way when the time is over.
STOP_TIMEOUT_S = 20.0


class Accounts:
    """The devices of the credentials file, each given to one user only."""

    def __init__(self, path: str | None) -> None:
        if not path:
            raise SystemExit("set RONDA_LOAD_CREDENTIALS to a JSON file of [{site, device, username, password}, …]")
        accounts: list[dict[str, Any]] = json.loads(Path(path).read_text())
        self._left = iter(accounts)
        self.count = len(accounts)

    def take(self) -> dict[str, Any]:
        """An account that nobody has yet. Ends the run when there are more users than accounts."""
        account = next(self._left, None)
        if account is None:
            raise SystemExit(f"more users than accounts: the credentials file has {self.count}")
        return account


class Source:
    """The readings of one device: a boot of its own, numbers without a gap, values that do not repeat."""

    def __init__(self) -> None:
        self.boot = secrets.token_hex(8)
        self._numbers = itertools.count()

    def reading(self) -> dict[str, Any]:
        """The next reading, measured now. Its number stands in its values too, so that no two are alike."""
        seq = next(self._numbers)
        swing = math.sin(seq / 40)
        values = {
            "vibration_de_rms_g": 0.2 + 0.01 * swing + seq * 1e-9,
            "vibration_nde_rms_g": 0.16 - 0.01 * swing,
            "current_a": 2.3 + 0.05 * swing,
            "pressure_bar": 2.6 - 0.04 * swing,
            "motor_temperature_c": 62.0 + 0.1 * math.sin(seq / 997),
            "fluid_temperature_c": 24.0 + 0.1 * math.sin(seq / 1499),
            "voltage_v": 400.0 + math.sin(seq / 13),
            "flow_lpm": 120.0 + 2.0 * swing,
        }
        return {"seq": seq, "ts": time.time_ns() // 1_000_000, "values": values}

    def message(self) -> dict[str, Any]:
        """The next BATCH readings as the body of one message."""
        readings = [self.reading() for _ in range(BATCH)]
        return {"boot": self.boot, **readings[0]} if BATCH == 1 else {"boot": self.boot, "readings": readings}


class Count:
    """How many readings the other side has accepted, by device and boot."""

    def __init__(self) -> None:
        self._boots: dict[tuple[str, str, str], int] = {}

    def add(self, account: dict[str, Any], boot: str, readings: int) -> None:
        """The other side has taken these."""
        key = (account["site"], account["device"], boot)
        self._boots[key] = self._boots.get(key, 0) + readings

    def write(self, script: str, environment: Environment) -> None:
        """Print the sum, and write it with the boots, so that a count by SQL can be compared."""
        accepted = sum(self._boots.values())
        result = {
            "script": script,
            "accepted": accepted,
            "errors": environment.stats.total.num_failures,
            "boots": [
                {"site": site, "device": device, "boot": boot, "accepted": count}
                for (site, device, boot), count in sorted(self._boots.items())
            ],
        }
        path = Path(os.environ.get("RONDA_LOAD_RESULT", f"load-{script}.json"))
        path.write_text(json.dumps(result, indent=1))
        print(f"accepted {accepted} readings of {len(self._boots)} devices, errors {result['errors']}: {path}")


accounts = Accounts(os.environ.get("RONDA_LOAD_CREDENTIALS"))
count = Count()


@events.init.add_listener
def _leave_time_to_finish(environment: Environment, **_: object) -> None:
    environment.stop_timeout = max(environment.stop_timeout or 0.0, STOP_TIMEOUT_S)


def wait_until(reached: Any, seconds: float) -> bool:
    """Let other users work until `reached()`; returns whether it came to that in time."""
    end = time.monotonic() + seconds
    while not reached() and time.monotonic() < end:
        gevent.sleep(0.02)
    return bool(reached())
