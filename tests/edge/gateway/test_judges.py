"""While the cloud is away the gateway judges with the last model that it fetched, and says that it was the gateway."""

from __future__ import annotations

import asyncio
import functools
import http.server
import threading

import msgspec
import pytest

from contract import telemetry
from contract.codec import decode_events, encode_events
from contract.events import AnomalyDetectedEvent, ModelPromotedEvent, ModelRef, Phase
from contract.topics import Channel, DeviceTopic
from detection.fit import fit
from detection.model import sha256
from edge.gateway.artifacts import Artifacts
from edge.gateway.errors import GatewayError
from edge.gateway.judge import AWAY_MS, Judge
from edge.gateway.shelf import Shelf
from tests.edge.gateway.site import BOOT, GATEWAY, SITE, WAIT_S, gateway, statuses, until
from tests.edge.store import listening
from tests.support.brokers import embedded
from tests.support.machines import METRICS, START_MS, healthy, times
from tests.support.ports import free_port

LEARNED, DEVICE = 900, "pump-07"
PAYLOAD = fit(healthy(LEARNED), times(LEARNED), METRICS).model.to_bytes()


def promotion(uri: str, *, checksum: str = sha256(PAYLOAD), version: str = "1") -> ModelPromotedEvent:
    model = ModelRef(name=f"{SITE}.{DEVICE}", version=version, run_id="r", sha256=checksum)
    return ModelPromotedEvent(
        site=SITE,
        device=DEVICE,
        model=model,
        artifact_uri=uri,
        data_hash="d",
        trained_through_ms=START_MS,
        promoted_at_ms=START_MS + int(version),
    )


@pytest.fixture
def keeper(tmp_path):
    """An HTTP server with the model at /model.json."""
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / "model.json").write_bytes(PAYLOAD)
    handler = functools.partial(http.server.SimpleHTTPRequestHandler, directory=tmp_path / "web")
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/model.json"
        server.shutdown()


def sick(count: int) -> list[bytes]:
    """Healthy for a minute, then the vibration tripled."""
    values = healthy(count, 2)
    values[60:, 0] *= 3
    rows = [
        (seq, START_MS + (LEARNED + seq) * 1000, dict(zip(METRICS, map(float, row), strict=True)))
        for seq, row in enumerate(values)
    ]
    return [telemetry.encode(BOOT.format(0), rows[at : at + 20]) for at in range(0, count, 20)]


async def test_the_gateway_raises_the_alarm_while_the_cloud_is_away_and_tells_of_it_later(tmp_path, keeper):
    port = free_port()
    async with (
        embedded(tmp_path / "local") as local,
        local.bus("device") as bus,
        local.bus("person") as person,
        listening(local.bus("ear"), SITE, confirms=False) as here,
    ):
        await person.subscribe(DeviceTopic.filter(Channel.ANOMALY))
        async with embedded(tmp_path / "cloud", devices=[GATEWAY], port=port) as cloud:
            async with cloud.bus("trainer") as trainer:
                await trainer.publish(encode_events([promotion(keeper)]), retain=True)
            async with gateway(tmp_path, local, cloud):
                await until(lambda: bool(statuses(here)) and statuses(here)[-1].models == 1)
                await cloud.broker.stop()
                await until(lambda: not statuses(here)[-1].cloud)
                await asyncio.sleep(6)
                topic = str(DeviceTopic(SITE, DEVICE, Channel.TELEMETRY))
                await bus.publish([(topic, payload) for payload in sick(200)])
                async with asyncio.timeout(WAIT_S):
                    (message, *_) = await person.receive()
                (raised,) = decode_events(AnomalyDetectedEvent, message.payload)
                assert (raised.phase, raised.judged_by, raised.device) == (Phase.RAISED, "gateway", DEVICE)
                assert raised.model == promotion(keeper).model
                assert raised.evidence.sensors[0].name == METRICS[0]
                assert raised.boot == BOOT.format(0)
                assert 60 < raised.seq < 120
                async with (
                    embedded(tmp_path / "cloud", devices=[GATEWAY], port=port) as again,
                    listening(again.bus("store"), SITE) as store,
                ):
                    await store.until(lambda: len(store.rows[DEVICE]) == 200, WAIT_S)
                    await store.until(lambda: bool(statuses(store)) and bool(statuses(store)[-1].alarms), WAIT_S)
                    assert statuses(store)[-1].alarms[0].anomaly_id == raised.anomaly_id


async def test_with_the_cloud_there_the_gateway_judges_nothing(tmp_path, keeper):
    async with (
        embedded(tmp_path / "local") as local,
        embedded(tmp_path / "cloud", devices=[GATEWAY]) as cloud,
        listening(cloud.bus("store"), SITE) as store,
        cloud.bus("trainer") as trainer,
        local.bus("device") as bus,
    ):
        await trainer.publish(encode_events([promotion(keeper)]), retain=True)
        async with gateway(tmp_path, local, cloud):
            await until(lambda: bool(statuses(store)) and statuses(store)[-1].models == 1)
            topic = str(DeviceTopic(SITE, DEVICE, Channel.TELEMETRY))
            await bus.publish([(topic, payload) for payload in sick(200)])
            await until(lambda: statuses(store)[-1].stored == 200)
            assert not statuses(store)[-1].alarms


async def shelved(folder, *announced: ModelPromotedEvent) -> Shelf:
    shelf = Shelf(folder, SITE, Artifacts().fetch)
    shelf.open()
    work = asyncio.create_task(shelf.run())
    for event in announced:
        shelf.announced(msgspec.json.encode(event))
        await asyncio.sleep(0.3)
    work.cancel()
    return shelf


async def test_bytes_that_were_not_promoted_are_not_kept(tmp_path, keeper):
    shelf = await shelved(tmp_path / "shelf", promotion(keeper, checksum="0" * 64))
    assert len(shelf) == 0
    assert shelf.find(DEVICE) is None


async def test_a_model_survives_a_restart_and_is_not_believed_when_its_file_was_changed(tmp_path, keeper):
    await shelved(tmp_path / "shelf", promotion(keeper))
    again = await shelved(tmp_path / "shelf")
    kept = again.find(DEVICE)
    assert kept is not None
    assert kept.promotion == promotion(keeper)
    path = tmp_path / "shelf" / f"{DEVICE}.model"
    path.write_bytes(path.read_bytes().replace(b"centre", b"center"))
    assert again.find(DEVICE) is None


async def test_a_later_promotion_takes_the_place_of_an_earlier_one(tmp_path, keeper):
    shelf = await shelved(tmp_path / "shelf", promotion(keeper, version="2"), promotion(keeper, version="1"))
    kept = shelf.find(DEVICE)
    assert kept is not None
    assert kept.promotion.model.version == "2"


@pytest.mark.parametrize("uri", ["s3://models/1", "mlflow-artifacts:/1/model.json", "ftp://x/y"])
def test_an_address_that_a_gateway_cannot_read_is_refused_in_words(uri):
    with pytest.raises(GatewayError, match="a gateway cannot read a model at"):
        Artifacts().fetch(uri)


def test_a_clock_that_was_set_back_does_not_keep_the_gateway_off_duty(tmp_path):
    now_ms = [10_000_000]
    judge = Judge(Shelf(tmp_path, SITE, lambda uri: b""), lambda: now_ms[0])
    judge.cloud_is(there=False)
    now_ms[0] -= 3_600_000
    assert not judge.on_duty
    now_ms[0] += AWAY_MS
    assert judge.on_duty
