"""What is looked at in a running stack, each where it is kept: SQL, MLflow, S3, Redis, the mailbox."""

from __future__ import annotations

import asyncio
import json
import time
from typing import Any

from ronda.client import RondaClient
from tests.containers.stack import Stack

# Run in the stack's own network, with its own keys: neither is to be had from outside.
_RUNS = """
import json, urllib.request
def ask(path, body):
    request = urllib.request.Request("http://127.0.0.1:5000/api/2.0/mlflow/" + path, json.dumps(body).encode())
    request.add_header("Content-Type", "application/json")
    return json.load(urllib.request.urlopen(request, timeout=30))
experiments = ask("experiments/search", {"max_results": 100})["experiments"]
ids = [each["experiment_id"] for each in experiments]
runs = ask("runs/search", {"experiment_ids": ids, "max_results": 1000}).get("runs", [])
print(json.dumps([[run["info"]["run_name"], run["info"]["run_id"], run["info"]["status"]] for run in runs]))
"""
_OBJECTS = """
import json, boto3
from botocore.config import Config
from ronda.settings import load_settings
from ronda.parts import tell_libraries
settings = load_settings("tools")
tell_libraries(settings)
s3 = boto3.client("s3", endpoint_url=settings.mlflow_s3_endpoint_url, config=Config(signature_version="s3v4"))
pages = s3.get_paginator("list_objects_v2").paginate(Bucket="ronda-models")
print(json.dumps([[each["Key"], each["Size"]] for page in pages for each in page.get("Contents", [])]))
"""
_HYPERTABLES = "SELECT hypertable_name, num_chunks FROM timescaledb_information.hypertables ORDER BY 1"
_COUNTS = "SELECT '{0}', count(*), coalesce(sum(hashtext(x::text)::bigint), 0) FROM {0} AS x"
# What a restored database is compared in: by number and by content.
TABLES = ("devices", "readings", "boots", "rejected", "anomalies", "notifications", "promotions", "hops", "users")


async def until_ready(client: RondaClient, timeout_s: float = 240.0) -> None:
    """Wait until the whole chain works and every emulated machine has its model. Raises: AssertionError."""
    missing: Any = "no answer"
    give_up = time.monotonic() + timeout_s
    while time.monotonic() < give_up:
        try:
            ready = await client.readiness()
        except Exception as error:  # it may be starting, or just now be stopped by ourselves
            missing = repr(error)
        else:
            if ready.get("ready"):
                return
            missing = ready.get("missing")
        await asyncio.sleep(1)
    raise AssertionError(f"not ready after {timeout_s:.0f} s: {missing}")


async def mail_of(client: RondaClient, correlation_id: str, timeout_s: float = 60.0) -> dict[str, Any]:
    """The mail that carries this id. Raises: TimeoutError."""
    async with asyncio.timeout(timeout_s):
        while True:
            items = (await client.mails())["items"]
            if found := [item for item in items if item["correlation_id"] == correlation_id]:
                return await client.mail(found[0]["id"])
            await asyncio.sleep(0.2)


async def hypertables(stack: Stack) -> dict[str, int]:
    """Hypertable → its chunks."""
    return {name: int(chunks) for name, chunks in await stack.sql(_HYPERTABLES)}


async def stored(stack: Stack, site: str, device: str) -> int:
    """How many different readings of the device the store has."""
    where = f"site = '{site}' AND device = '{device}'"
    ((count,),) = await stack.sql(f"SELECT count(*) FROM (SELECT DISTINCT boot, seq FROM readings WHERE {where}) AS x")
    return int(count)


async def contents(stack: Stack, database: str) -> dict[str, tuple[int, int]]:
    """Table → (rows, a sum over what stands in them)."""
    rows = await stack.sql(" UNION ALL ".join(_COUNTS.format(table) for table in TABLES), database)
    return {name: (int(count), int(checksum)) for name, count, checksum in rows}


async def finished_runs(stack: Stack) -> list[tuple[str, str]]:
    """(name, id) of the runs in MLflow."""
    runs = json.loads(await stack.inside("mlflow", "python", "-c", _RUNS))
    return [(name, run_id) for name, run_id, status in runs if status == "FINISHED"]


async def objects(stack: Stack) -> dict[str, int]:
    """Key → bytes of the models' bucket, listed with boto3."""
    return dict(json.loads((await stack.tools("-c", _OBJECTS, entrypoint="python")).splitlines()[-1]))


async def redis_keys(stack: Stack) -> list[str]:
    """What the API counts there."""
    command = 'REDISCLI_AUTH="$(cat /run/secrets/redis_password)" redis-cli --scan'
    return (await stack.inside("redis", "sh", "-c", command)).split()
