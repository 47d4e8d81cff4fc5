"""Every topic is built, filtered and parsed by one class; nobody else's topic passes for ours."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from contract.errors import ContractError, Reason
from contract.events import ModelRole
from contract.topics import (
    DEVICE_READS,
    DEVICE_WRITES,
    AgentTopic,
    ChainTopic,
    Channel,
    DeviceTopic,
    ModelTopic,
    Stage,
)
from tests.contract import strategies as ours
from tests.contract.outcome import outcome

FAMILIES = (DeviceTopic, ChainTopic, AgentTopic, ModelTopic)
# The levels and signs that real topics are made of, so that the fuzz comes close to them.
LEVELS = st.sampled_from(
    [
        "ronda",
        "ronda-chain",
        "v1",
        "agent",
        "model",
        "champion",
        "challenger",
        "plant-1",
        "gateway",
        "",
        "+",
        "#",
        "$SYS",
        "0",
        "64",
        *Channel,
        *Stage,
    ]
)


def matches(topic: str, pattern: str) -> bool:
    """MQTT 3.1.1, section 4.7, for patterns with `+`, and with `#`, which covers its parent too."""
    levels, wanted = topic.split("/"), pattern.split("/")
    if wanted[-1] == "#":
        wanted.pop()
        del levels[len(wanted) :]
    return len(levels) == len(wanted) and all(want in {"+", level} for level, want in zip(levels, wanted, strict=True))


@given(ours.device_topics | ours.chain_topics | ours.agent_topics | ours.model_topics)
def test_a_topic_reads_back_as_it_was_written(topic: DeviceTopic | ChainTopic | AgentTopic | ModelTopic) -> None:
    assert type(topic).parse(str(topic)) == topic


@given(st.text() | st.lists(LEVELS, max_size=8).map("/".join))
def test_whatever_arrives_is_one_of_our_topics_or_a_contract_error(text: str) -> None:
    for family in FAMILIES:
        topic = outcome(family.parse, text)
        if isinstance(topic, ContractError):
            assert topic.reason is Reason.BAD_NAME
        else:
            assert str(topic) == text


@given(ours.device_topics)
def test_a_device_topic_is_matched_by_the_filters_of_its_channel(topic: DeviceTopic) -> None:
    for pattern in (
        DeviceTopic.filter(topic.channel),
        DeviceTopic.filter(topic.channel, topic.site),
        DeviceTopic.filter(topic.channel, topic.site, topic.device),
    ):
        assert matches(str(topic), pattern)


@given(ours.device_topics, st.sampled_from(Channel))
def test_a_filter_brings_its_own_channel_alone(topic: DeviceTopic, channel: Channel) -> None:
    assert matches(str(topic), DeviceTopic.filter(channel)) == (topic.channel is channel)


@given(ours.chain_topics)
def test_a_chain_topic_is_matched_by_its_stage_and_its_partition(topic: ChainTopic) -> None:
    assert matches(str(topic), ChainTopic.filter(topic.stage))
    assert matches(str(topic), ChainTopic.filter(topic.stage, topic.partition))
    assert not matches(str(topic), ChainTopic.filter(topic.stage, topic.partition + 1))


@given(ours.agent_topics, ours.model_topics)
def test_who_is_alive_and_which_model_are_matched_by_their_filters(agent: AgentTopic, model: ModelTopic) -> None:
    assert matches(str(agent), AgentTopic.filter())
    assert matches(str(agent), AgentTopic.filter(agent.name))
    assert matches(str(model), ModelTopic.filter())
    assert matches(str(model), ModelTopic.filter(model.site, model.device))


@given(ours.sites, ours.devices)
def test_a_challenger_never_takes_the_champions_place_on_the_broker(site: str, device: str) -> None:
    champion, challenger = ModelTopic(site, device), ModelTopic(site, device, ModelRole.CHALLENGER)
    assert str(champion) == f"ronda-chain/v1/model/{site}/{device}"
    assert str(challenger) != str(champion)


@pytest.mark.parametrize("partition", ["64", "-1", "07", "٣", "1e1", "", "9" * 5000, "0/0"])
def test_a_partition_is_a_plain_number_below_64(partition: str) -> None:
    with pytest.raises(ContractError, match="is not a chain topic"):
        ChainTopic.parse(f"ronda-chain/v1/validated/{partition}")


def test_a_device_writes_and_reads_different_channels() -> None:
    assert not set(DEVICE_WRITES) & set(DEVICE_READS)
    agents = {Channel.ANOMALY, Channel.REJECTED, Channel.NOTIFICATION}
    agents |= {Channel.STATE, Channel.DRIFT, Channel.MODEL_REFUSED}
    assert set(DEVICE_WRITES) | set(DEVICE_READS) | agents == set(Channel)
