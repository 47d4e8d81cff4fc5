"""Who may say what: a device speaks for itself alone, a gateway for its site."""

from __future__ import annotations

from hypothesis import given

from contract.access import device_rights, gateway_rights
from contract.topics import DEVICE_READS, DEVICE_WRITES, Channel, DeviceTopic
from tests.contract import strategies as ours


@given(ours.sites, ours.devices)
def test_a_device_may_write_and_read_only_its_own_topics(site: str, device: str) -> None:
    rights = device_rights(site, device)
    assert rights.name == f"{site}/{device}"
    written = [DeviceTopic.parse(topic) for topic in rights.writes]
    read = [DeviceTopic.parse(topic) for topic in rights.reads]
    assert {topic[:2] for topic in written + read} == {(site, device)}
    assert [topic.channel for topic in written] == list(DEVICE_WRITES)
    assert [topic.channel for topic in read] == list(DEVICE_READS)


def test_a_device_may_not_raise_an_anomaly_or_say_how_it_is_or_move_its_own_watermark() -> None:
    forbidden = {Channel.ANOMALY, Channel.REJECTED, Channel.NOTIFICATION, Channel.STORED, Channel.COMMAND}
    forbidden |= {Channel.STATE, Channel.DRIFT, Channel.MODEL_REFUSED}
    rights = device_rights("plant-1", "pump-07")
    assert not {DeviceTopic.parse(topic).channel for topic in rights.writes} & forbidden


def test_a_gateway_speaks_for_the_devices_of_its_site() -> None:
    rights = gateway_rights("plant-1")
    assert rights.name == "gateway/plant-1"
    assert list(rights.writes) == ["ronda/v1/plant-1/+/telemetry", "ronda/v1/plant-1/+/status"]
    assert list(rights.reads) == ["ronda/v1/plant-1/+/stored", "ronda-chain/v1/model/plant-1/+/#"]
