"""Load on the HTTP bridge: every user is a device that logs in with its own secret and posts its own readings.

How to run it stands in README.md beside it.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlencode

from load import BATCH, RATE, Source, accounts, count
from locust import constant_throughput, events, task
from locust.contrib.fasthttp import FastHttpUser
from locust.env import Environment

ACCEPTED = 202


class HttpDevice(FastHttpUser):
    """A device that speaks HTTP. The fast client: with the other, one process of Locust ends before the API does."""

    wait_time = constant_throughput(RATE / BATCH)

    def on_start(self) -> None:
        """Log in."""
        self.account, self.source = accounts.take(), Source()
        form = {"username": self.account["username"], "password": self.account["password"]}
        headers = {"Content-Type": "application/x-www-form-urlencoded"}
        answer = self.client.post("/api/v1/auth/token", data=urlencode(form), headers=headers)
        answer.raise_for_status()
        self.headers = {"Authorization": f"Bearer {answer.json()['access_token']}"}

    @task
    def send(self) -> None:
        """Post the next readings; what is not wholly accepted is an error."""
        body = {"site": self.account["site"], "device": self.account["device"], **self.source.message()}
        with self.client.post("/api/v1/ingest", json=body, headers=self.headers, catch_response=True) as answer:
            accepted = _accepted(answer)
            if accepted == BATCH:
                count.add(self.account, self.source.boot, accepted)
            else:
                answer.failure(f"{answer.status_code}: {(answer.text or '')[:200]}")


def _accepted(answer: Any) -> int:
    if answer.status_code != ACCEPTED:
        return 0
    said = answer.json()
    return int(said["accepted"]) if len(said["correlation_ids"]) == BATCH else 0


@events.quitting.add_listener
def _report(environment: Environment, **_: object) -> None:
    count.write("http", environment)
