"""Node-RED on the same broker: parses a device's message, computes the z-scores of its values, and publishes them."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import psutil

from broker.address import MqttAddress
from contract.topics import Channel, DeviceTopic
from tests.support.ports import free_port

_START_WITHIN_S = 60.0
_WRITES_TO = "ronda-chain/v1/ingested/0"
# What the first step of our chain does, and the simplest judgement there is: Welford's mean and variance per value.
_Z_SCORE = """
const seen = context.get('seen') || {};
const rows = msg.payload.readings || [msg.payload];
const scores = [];
for (const row of rows) {
    for (const name in row.values) {
        const state = seen[name] || (seen[name] = {n: 0, mean: 0, m2: 0});
        const x = row.values[name], delta = x - state.mean;
        state.n += 1; state.mean += delta / state.n; state.m2 += delta * (x - state.mean);
        const deviation = Math.sqrt(state.m2 / Math.max(1, state.n - 1));
        scores.push(deviation ? (x - state.mean) / deviation : 0);
    }
}
context.set('seen', seen);
return {payload: {boot: msg.payload.boot, scores: scores}};
"""


class NodeRed(NamedTuple):
    """It runs."""

    process: psutil.Process
    version: str


@contextlib.contextmanager
def node_red(installed: Path, folder: Path, where: MqttAddress) -> Iterator[NodeRed]:
    """Start it, connected as `where` says. `installed`: where `npm install node-red` was run."""
    program, node = installed / "node_modules" / "node-red", shutil.which("node")
    if node is None or not (program / "red.js").exists():
        raise SystemExit(f"no Node-RED in {installed}; run there: npm install node-red")
    folder.mkdir()
    (folder / "flows.json").write_text(json.dumps(_flow(where)))
    (folder / "flows_cred.json").write_text(json.dumps({"broker": {"user": where.user, "password": where.password}}))
    (folder / "settings.js").write_text(_settings())
    with (folder / "out").open("wb") as out:
        started = subprocess.Popen(
            [node, str(program / "red.js"), "--userDir", str(folder), "flows.json"],
            stdout=out,
            stderr=out,
            env={"PATH": os.environ["PATH"], "HOME": str(folder)},
        )
    try:
        _until_connected(started, folder / "out")
        version = json.loads((program / "package.json").read_text())["version"]
        yield NodeRed(psutil.Process(started.pid), version)
    finally:
        started.terminate()
        started.wait(_START_WITHIN_S)


def _settings() -> str:
    options = {
        "uiPort": free_port(),
        "uiHost": "127.0.0.1",
        "httpAdminRoot": False,
        "credentialSecret": False,
        "telemetry": {"enabled": False},
    }
    return f"module.exports = {json.dumps(options)};"


def _until_connected(started: subprocess.Popen[bytes], out: Path) -> None:
    end = time.monotonic() + _START_WITHIN_S
    while "Connected to broker" not in out.read_text(errors="replace"):
        if started.poll() is not None or time.monotonic() > end:
            raise SystemExit(f"Node-RED does not connect:\n{out.read_text(errors='replace')[-2000:]}")
        time.sleep(0.1)


def _flow(where: MqttAddress) -> list[dict[str, object]]:
    broker = {
        "id": "broker", "type": "mqtt-broker", "broker": where.host, "port": str(where.port), "clientid": "node-red",
        "protocolVersion": "4", "keepalive": "60", "cleansession": False, "autoConnect": True,
    }  # fmt: skip
    tab = {"id": "tab", "type": "tab", "label": "bench"}
    topic = DeviceTopic.filter(Channel.TELEMETRY)
    nodes = [
        {"id": "in", "type": "mqtt in", "topic": topic, "qos": "1", "datatype": "json", "broker": "broker"},
        {"id": "score", "type": "function", "func": _Z_SCORE, "outputs": 1},
        {"id": "out", "type": "mqtt out", "topic": _WRITES_TO, "qos": "1", "retain": "false", "broker": "broker"},
    ]
    following = {"in": [["score"]], "score": [["out"]], "out": []}
    return [tab, broker, *({**node, "z": "tab", "wires": following[str(node["id"])]} for node in nodes)]
