"""The broker's address: read, written back, and never with its password in a log."""

from __future__ import annotations

from pathlib import Path

import pytest

from broker.address import AddressError, MqttAddress


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("mqtt://localhost", MqttAddress(host="localhost", port=1883)),
        ("mqtt://broker:1884/", MqttAddress(host="broker", port=1884)),
        ("mqtts://broker", MqttAddress(host="broker", port=8883, tls=True)),
        (
            "mqtt://plant-1%2Fpump-07:p%40ss%3A@h:1",
            MqttAddress(host="h", port=1, user="plant-1/pump-07", password="p@ss:"),
        ),
        ("mqtt://u:p@[::1]:7", MqttAddress(host="::1", port=7, user="u", password="p")),
    ],
)
def test_it_reads_and_writes_back_the_same(url: str, expected: MqttAddress) -> None:
    assert MqttAddress.parse(url) == expected
    assert MqttAddress.parse(expected.url()) == expected


@pytest.mark.parametrize("url", ["", "localhost:1883", "http://x", "mqtt://", "mqtt://h:99999", "mqtt://h/path"])
def test_what_is_no_address_is_told_without_repeating_it(url: str) -> None:
    with pytest.raises(AddressError, match="must look like mqtt://"):
        MqttAddress.parse(url)


def test_the_password_stands_in_no_log() -> None:
    address = MqttAddress.parse("mqtt://u:secret@h")
    assert "secret" not in f"{address} {address!r}"
    assert str(address.with_user("a/b", "c")) == "mqtt://a%2Fb@h:1883"


def test_each_device_of_a_fleet_trusts_whom_the_fleet_trusts() -> None:
    address = MqttAddress.parse("mqtts://broker").trusting(Path("ca.crt"))
    assert address.with_user("plant-1/pump-07", "secret").ca_file == Path("ca.crt")
