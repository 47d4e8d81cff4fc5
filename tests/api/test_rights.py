"""On a real broker, with the rights that the API declares and no others: everything it does still works."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import msgspec
import pytest

from cloud.api.app import create_api
from cloud.api.listener import party
from cloud.api.ports import Parts
from contract.codec import encode_events
from contract.events import AgentState, AgentStatus
from contract.telemetry import decode
from contract.topics import AgentTopic
from tests.api.conftest import bearer, http_on, now_ms, until
from tests.api.test_ingest import message
from tests.api.test_simulation import rested_machines
from tests.support import brokers
from tests.support.anomalies import anomaly


@pytest.mark.timeout(60)
async def test_the_declared_rights_are_enough_and_forging_an_anomaly_is_beyond_them(parts: Parts, tmp_path: Path):
    await rested_machines(parts, 1)
    async with brokers.embedded(tmp_path, parties=[party("web")]) as broker:
        web, other = broker.bus("web", "web", persistent=False), broker.bus("other")
        async with web, other:
            await other.subscribe("ronda/v1/+/+/telemetry", "ronda/v1/+/+/command", "ronda/v1/+/+/anomaly")
            status = AgentStatus(agent="validation", instance="0-63", state=AgentState.ONLINE, since_ms=1)
            await other.publish([(str(AgentTopic("validation", "0-63")), msgspec.json.encode(status))], retain=True)
            api = create_api(replace(parts, bus=web, broker_up=lambda: web.connected, agents=("validation",)))
            async with api.router.lifespan_context(api), http_on(api) as http:
                hub = api.state.services.hub
                await until(lambda: api.state.services.presence.online == 1)
                sent = message(seq=3)
                assert (await http.post("/api/v1/ingest", json=sent, headers=bearer())).status_code == 202
                [heard] = await asyncio.wait_for(other.receive(), 10)
                assert decode(heard.payload, "plant-1", "pump-07").readings[0].seq == 3
                answer = await http.post("/api/v1/simulate/anomaly-event", headers=bearer())
                assert answer.status_code == 202
                [command] = await asyncio.wait_for(other.receive(), 10)
                assert command.topic == "ronda/v1/plant-1/demo-1/command"
                before = hub.position
                await other.publish(encode_events([anomaly(detected_at_ms=int(now_ms()))]))
                await until(lambda: hub.position > before)
                assert [each.topic for each in await asyncio.wait_for(other.receive(), 10)] == [
                    "ronda/v1/plant-1/pump-07/anomaly"
                ]
                await web.publish(encode_events([anomaly(anomaly_id="forged")]))
                with pytest.raises(TimeoutError):
                    await asyncio.wait_for(other.receive(), 0.3)
