"""The decision who may say what, as a pure function."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from broker.access import AccessRules, Action, Refusal, may, refusal, rights_of
from broker.filters import is_filter, matches
from contract.access import Party
from contract.topics import DEVICE_READS, DEVICE_WRITES, Channel, DeviceTopic

PARTIES = [Party(name="validation", writes=["ronda-chain/v1/validated/+"], reads=["ronda-chain/v1/ingested/+"])]
NAMES = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9_-]{0,10}", fullmatch=True).filter(lambda name: name != "gateway")


@given(NAMES, NAMES, NAMES, NAMES, st.sampled_from(Channel))
def test_a_device_may_exactly_what_the_contract_says_on_its_own_topics(
    site: str, device: str, other_site: str, other: str, channel: Channel
) -> None:
    user = f"{site}/{device}"
    mine, theirs = str(DeviceTopic(site, device, channel)), str(DeviceTopic(other_site, other, channel))
    assert may(PARTIES, user, Action.WRITE, mine) == (channel in DEVICE_WRITES)
    assert may(PARTIES, user, Action.READ, mine) == (channel in DEVICE_READS)
    if theirs != mine:
        assert not may(PARTIES, user, Action.WRITE, theirs)
        assert not may(PARTIES, user, Action.READ, theirs)


@pytest.mark.parametrize(
    ("user", "action", "topic", "expected"),
    [
        ("validation", Action.WRITE, "ronda-chain/v1/validated/5", None),
        ("validation", Action.WRITE, "ronda-chain/v1/ingested/5", Refusal.NOT_YOURS),
        ("validation", Action.READ, "ronda-chain/v1/ingested/5", None),
        ("validation", Action.SUBSCRIBE, "#", None),
        ("validation", Action.SUBSCRIBE, "a/#/b", Refusal.NOT_A_TOPIC),
        ("validation", Action.WRITE, "$SYS/broker", Refusal.NOT_A_TOPIC),
        ("validation", Action.WRITE, "ronda-chain/v1/validated/+", Refusal.NOT_A_TOPIC),
        ("stranger", Action.SUBSCRIBE, "#", Refusal.UNKNOWN_USER),
        ("", Action.READ, "a", Refusal.UNKNOWN_USER),
        ("gateway/plant-1", Action.WRITE, "ronda/v1/plant-1/any/telemetry", None),
        ("gateway/plant-1", Action.WRITE, "ronda/v1/plant-2/any/telemetry", Refusal.NOT_YOURS),
        ("gateway/plant-1", Action.WRITE, "ronda/v1/gateway/plant-1/telemetry", Refusal.NOT_YOURS),
        ("gateway/gateway", Action.WRITE, "ronda/v1/gateway/x/telemetry", Refusal.UNKNOWN_USER),
        ("plant/+", Action.WRITE, "ronda/v1/plant/+/telemetry", Refusal.UNKNOWN_USER),
        ("plant/a/b", Action.READ, "ronda/v1/plant/a/b/stored", Refusal.UNKNOWN_USER),
    ],
)
def test_the_reason_is_named(user: str, action: Action, topic: str, expected: Refusal | None) -> None:
    assert refusal(rights_of(PARTIES, user), action, topic) == expected
    assert AccessRules(PARTIES).refusal(user, action, topic) == expected


@pytest.mark.parametrize(
    ("wanted", "topic", "covered"),
    [
        ("a/b", "a/b", True),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/#", "a", True),
        ("a/#", "a/b/c", True),
        ("a/#", "ab", False),
        ("+/b", "/b", True),
        ("#", "$SYS/x", False),
        ("+/x", "$SYS/x", False),
        ("$SYS/#", "$SYS/x", True),
        ("a/b", "a/b/", False),
    ],
)
def test_a_filter_covers_what_the_standard_says(wanted: str, topic: str, covered: bool) -> None:
    assert matches(wanted, topic) == covered


@pytest.mark.parametrize("text", ["", "a#", "#/a", "a/#/b", "a+/b", "a\0b"])
def test_what_is_no_filter_is_told(text: str) -> None:
    assert not is_filter(text)
