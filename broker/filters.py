"""Which topics a subscription filter covers (MQTT 3.1.1, section 4.7)."""

from __future__ import annotations

# The longest topic of the contract has 152. MQTT allows 65,535, with which one device fills what a broker remembers.
MAX_TOPIC_BYTES = 256
# Of what a client sent, this much stands in a log line.
_SHOWN = 80


def matches(topic_filter: str, topic: str) -> bool:
    """Does `topic_filter` (with `+` and `#`) cover `topic`? Wildcards never cover a leading `$`."""
    if "+" not in topic_filter and "#" not in topic_filter:
        return topic_filter == topic
    if topic.startswith("$") and topic_filter[0] in "+#":
        return False
    wanted, levels = topic_filter.split("/"), topic.split("/")
    if wanted[-1] == "#":
        head = wanted[:-1]
        return len(levels) >= len(head) and _levels_match(head, levels[: len(head)])
    return len(wanted) == len(levels) and _levels_match(wanted, levels)


def is_filter(text: str) -> bool:
    """Is this a filter that may be subscribed to: wildcards alone in their level, `#` only at the end?"""
    if not text or "\x00" in text or is_too_long(text):
        return False
    *head, last = text.split("/")
    return all(_is_level(level) for level in head) and (last == "#" or _is_level(last))


def is_topic(text: str) -> bool:
    """Is this a topic that a party may publish on: not empty, no wildcard, not the broker's own `$` tree?"""
    return bool(text) and not (text.startswith("$") or any(mark in text for mark in "+#\x00") or is_too_long(text))


def is_too_long(text: str) -> bool:
    """Is this topic or filter over MAX_TOPIC_BYTES?"""
    return len(text.encode()) > MAX_TOPIC_BYTES


def shortened(text: str) -> str:
    """The text as a log line may carry it, however long it is."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}… ({len(text)} characters)"


def _is_level(level: str) -> bool:
    return level == "+" or ("+" not in level and "#" not in level)


def _levels_match(wanted: list[str], levels: list[str]) -> bool:
    return all(want in ("+", level) for want, level in zip(wanted, levels, strict=True))
