"""Debian's Prometheus with our configuration, pointed at an installation of a test's."""

from __future__ import annotations

import copy
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Self

import httpx
import yaml

from tests.support.installation import ROOT, until
from tests.support.ports import free_port

CONFIGURATION = ROOT / "deploy" / "prometheus" / "prometheus.yml"
# As often as a test can wait for; rates in it are taken over the last RATE.
SCRAPE_INTERVAL = "1s"
RATE = "15s"


def configuration(targets: Mapping[str, Sequence[str]]) -> dict[str, Any]:
    """Ours, with each job asking `targets[job]`, every second; one that is not there asks nobody."""
    ours: dict[str, Any] = copy.deepcopy(yaml.safe_load(CONFIGURATION.read_text()))
    ours["global"] = {"scrape_interval": SCRAPE_INTERVAL, "evaluation_interval": SCRAPE_INTERVAL}
    ours["rule_files"] = [str(CONFIGURATION.parent / name) for name in ours["rule_files"]]
    for job in ours["scrape_configs"]:
        job["static_configs"] = [{"targets": list(targets.get(job["job_name"], []))}]
    return ours


class Prometheus:
    """A running server in `folder`, on a free port."""

    def __init__(self, folder: Path, targets: Mapping[str, Sequence[str]]) -> None:
        self.address = f"127.0.0.1:{free_port()}"
        self._folder, self._targets = folder, {"prometheus": [self.address], **targets}
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        config = self._folder / "prometheus.yml"
        config.write_text(yaml.safe_dump(configuration(self._targets)))
        with (self._folder / "prometheus.out").open("wb") as out:
            self._process = subprocess.Popen(
                ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={self._folder / 'tsdb'}",
                 f"--web.listen-address={self.address}"],
                stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT,
            )  # fmt: skip
        try:
            until(self._is_ready, (self._folder / "prometheus.out").read_text)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process is not None
        self._process.terminate()
        self._process.wait(20)

    def query(self, expression: str) -> list[dict[str, Any]]:
        """What the instant query answers; fails when it is none."""
        answer = httpx.get(f"http://{self.address}/api/v1/query", params={"query": expression}, timeout=10)
        assert answer.status_code == 200, f"{expression}\n{answer.text}"
        return list(answer.json()["data"]["result"])

    def _is_ready(self) -> bool | None:
        try:
            return httpx.get(f"http://{self.address}/-/ready", timeout=2).status_code == 200 or None
        except httpx.HTTPError:
            return None
