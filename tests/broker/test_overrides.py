"""amqtt is sub-classed: a new version that changes what we override must fail here, not in a plant."""

from __future__ import annotations

import importlib.metadata
import inspect

import pytest
from amqtt.broker import Broker
from amqtt.mqtt.protocol.broker_handler import BrokerProtocolHandler

from broker.embedded.connection import Connection
from broker.embedded.server import Server

SIGNATURES = {
    (Server, "_create_server_instance"): "(self, listener_name, listener_type, address, port, ssl_context)",
    (Server, "stream_connected"): "(self, reader, writer, listener_name)",
    (Server, "_initialize_client_session"): "(self, reader, writer, remote_address, remote_port)",
    (Server, "_handle_disconnect"): "(self, client_session, handler, disconnect_waiter)",
    (Server, "add_subscription"): "(self, subscription, session)",
    (Server, "_del_subscription"): "(self, a_filter, session)",
    (Server, "_publish_retained_messages_for_subscription"): "(self, subscription, session)",
    (Server, "_session_monitor"): "(self)",
    (Server, "shutdown"): "(self)",
    (Connection, "start"): "(self)",
    (Connection, "stop"): "(self)",
    (Connection, "_retry_deliveries"): "(self)",
    (Connection, "_reader_loop"): "(self)",
}
BASES = {Server: Broker, Connection: BrokerProtocolHandler}
# Called by us, though not overridden.
USED = {
    (Broker, "_client_connected"): "(self, listener_name, reader, writer)",
    (Broker, "_authenticate"): "(self, session, _)",
    (Broker, "_topic_filtering"): "(self, session, topic, action)",
    (Broker, "_stop_handler"): "(self, handler)",
    (BrokerProtocolHandler, "init_from_connect"): "(reader, writer, plugins_manager, loop=None)",
    (BrokerProtocolHandler, "handle_subscribe"): "(self, subscribe)",
    (BrokerProtocolHandler, "handle_unsubscribe"): "(self, unsubscribe)",
    (BrokerProtocolHandler, "handle_pingreq"): "(self, pingreq)",
    (BrokerProtocolHandler, "handle_disconnect"): "(self, disconnect)",
}


def shape(function: object) -> str:
    """The signature without its annotations."""
    signature = inspect.signature(function)  # type: ignore[arg-type]
    bare = [parameter.replace(annotation=inspect.Parameter.empty) for parameter in signature.parameters.values()]
    return str(signature.replace(parameters=bare, return_annotation=inspect.Signature.empty))


def test_the_pinned_version_is_installed() -> None:
    assert importlib.metadata.version("amqtt") == "0.12.1"


@pytest.mark.parametrize(("owner", "name"), SIGNATURES)
def test_an_overridden_method_has_the_expected_signature(owner: type, name: str) -> None:
    assert shape(getattr(BASES[owner], name)) == SIGNATURES[owner, name]
    assert shape(getattr(owner, name)) == SIGNATURES[owner, name]


@pytest.mark.parametrize(("owner", "name"), USED)
def test_a_method_that_we_call_has_the_expected_signature(owner: type, name: str) -> None:
    assert shape(getattr(owner, name)) == USED[owner, name]


@pytest.mark.parametrize("ours", BASES)
def test_every_overridden_method_is_listed(ours: type) -> None:
    inherited = set(dir(BASES[ours]))
    overridden = {name for name in vars(ours) if name in inherited and callable(getattr(ours, name))}
    overridden -= set(dir(object))
    assert overridden == {name for owner, name in SIGNATURES if owner is ours}
