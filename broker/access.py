"""Who may say what, decided: the same rules that Mosquitto's access list is generated from."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Sequence
from functools import lru_cache

from broker.filters import is_filter, is_too_long, is_topic, matches
from broker.sys_tree import SYS
from contract.access import Party, device_rights, gateway_rights
from contract.errors import ContractError
from contract.names import check_device, check_site

_GATEWAY = "gateway/"
# (user, action, topic) asked before: a fleet asks about the same few topics per device again and again. 40 MB when a
# device fills it with the longest topics there may be.
_REMEMBERED = 65_536


class Action(enum.StrEnum):
    """What a user wants to do with a topic, or with a filter when it subscribes."""

    WRITE = "write"
    READ = "read"
    SUBSCRIBE = "subscribe"


class Refusal(enum.StrEnum):
    """Why not: the reason in the broker's log and counters."""

    UNKNOWN_USER = "unknown_user"
    TOO_LONG = "too_long"
    NOT_A_TOPIC = "not_a_topic"
    NOT_YOURS = "not_yours"


def rights_of(parties: Iterable[Party], user: str) -> Party | None:
    """What `user` may write and read: a device `site/device`, a gateway `gateway/site`, or one of the `parties`."""
    try:
        if user.startswith(_GATEWAY):
            return gateway_rights(check_site(user.removeprefix(_GATEWAY)))
        site, slash, device = user.partition("/")
        if slash:
            return device_rights(check_site(site), check_device(device))
    except ContractError:
        return None
    return next((party for party in parties if party.name == user), None)


def refusal(rights: Party | None, action: Action, topic: str) -> Refusal | None:
    """Why a user with these rights may not, or None when it may.

    A subscription is granted to everybody we know, however wide: what it yields is decided message by message with
    READ, so that `#` brings a device its own topics and nothing else. Mosquitto does the same.
    """
    if rights is None:
        return Refusal.UNKNOWN_USER
    if is_too_long(topic):
        return Refusal.TOO_LONG
    if action is Action.SUBSCRIBE:
        return None if is_filter(topic) else Refusal.NOT_A_TOPIC
    # Nobody may write the broker's own tree; who may read it is said as for any topic.
    if not is_topic(topic) and not (action is Action.READ and topic.startswith(SYS)):
        return Refusal.NOT_A_TOPIC
    granted = rights.writes if action is Action.WRITE else rights.reads
    return None if any(matches(one, topic) for one in granted) else Refusal.NOT_YOURS


def may(parties: Iterable[Party], user: str, action: Action, topic: str) -> bool:
    """May `user` do this?"""
    return refusal(rights_of(parties, user), action, topic) is None


class AccessRules:
    """The decisions for one set of parties, remembered, since every message asks twice."""

    def __init__(self, parties: Sequence[Party]) -> None:
        self.parties = tuple(parties)
        self._remembered = lru_cache(_REMEMBERED)(self._refusal)

    def refusal(self, user: str, action: Action, topic: str) -> Refusal | None:
        """Why `user` may not, or None when it may. What is too long is never remembered."""
        return Refusal.TOO_LONG if is_too_long(topic) else self._remembered(user, action, topic)

    def may(self, user: str, action: Action, topic: str) -> bool:
        """May `user` do this?"""
        return self.refusal(user, action, topic) is None

    def _refusal(self, user: str, action: Action, topic: str) -> Refusal | None:
        return refusal(rights_of(self.parties, user), action, topic)
