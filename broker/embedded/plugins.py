"""Our two plug-ins for amqtt, and no others: who may connect, and who may say what."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Any

from amqtt.contexts import Action as AmqttAction
from amqtt.plugins.base import BaseAuthPlugin, BaseTopicPlugin
from amqtt.session import Session

from broker.access import AccessRules, Action
from broker.credentials import Credentials

log = logging.getLogger("ronda.broker.plugins")

_ACTIONS = {
    AmqttAction.PUBLISH: Action.WRITE,
    AmqttAction.RECEIVE: Action.READ,
    AmqttAction.SUBSCRIBE: Action.SUBSCRIBE,
}


class PasswordPlugin(BaseAuthPlugin):  # type: ignore[misc]  # amqtt publishes no types
    """Lets in whom the password file names, with its password; nobody anonymous."""

    @dataclass
    class Config:
        """What the broker hands in."""

        credentials: Credentials

    async def authenticate(self, *, session: Session) -> bool | None:
        """Is this user who it says it is?"""
        user, password = session.username, session.password
        if not user or password is None:
            return False
        return bool(self.config.credentials.verify(user, password))


class AccessPlugin(BaseTopicPlugin):  # type: ignore[misc]  # amqtt publishes no types
    """Answers amqtt's question about a topic with our rules."""

    @dataclass
    class Config:
        """What the broker hands in."""

        rules: AccessRules

    async def topic_filtering(
        self, *, session: Session | None = None, topic: str | None = None, action: AmqttAction | None = None
    ) -> bool | None:
        """May the session's user do this with this topic?"""
        if session is None or topic is None or action is None:
            return False
        return bool(self.config.rules.may(session.username or "", _ACTIONS[action], topic))


def plugins(credentials: Credentials, rules: AccessRules) -> dict[str, dict[str, Any]]:
    """The whole set: amqtt's defaults (loggers, `$SYS`, anonymous) cost more than the routing and leak."""
    return {
        f"{__name__}.{PasswordPlugin.__name__}": {"credentials": credentials},
        f"{__name__}.{AccessPlugin.__name__}": {"rules": rules},
    }
