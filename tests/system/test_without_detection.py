"""Take detection away and nothing pretends to detect."""

from __future__ import annotations

import time
from typing import Any

from tests.support.installation import until
from tests.system.conftest import Make
from tests.system.test_golden_path import simulate


def test_without_the_detection_agent_there_is_no_mail_and_the_trace_ends_at_validated(make_ronda: Make) -> None:
    ronda = make_ronda("--devices", "1", "--without", "anomaly-detection").start()
    ronda.until_ready()
    correlation_id = simulate(ronda)["correlation_id"]

    def validated() -> dict[str, Any] | None:
        story = ronda.get(f"/api/v1/trace/{correlation_id}")
        return story if any(step["did"] == "validated" for step in story["steps"]) else None

    until(validated, "validated")
    # Longer than the whole way takes when detection is there.
    time.sleep(4)
    steps = ronda.get(f"/api/v1/trace/{correlation_id}")["steps"]
    # Storing is beside the chain, not behind it.
    assert [step["station"] for step in steps if step["station"] != "historian"][-1] == "validation"
    assert ronda.get("/api/v1/mails")["items"] == []
