"""Where a request comes from, as far as strangers can be told apart."""

from __future__ import annotations

from ipaddress import IPv6Address, IPv6Network

from starlette.types import Scope

UNKNOWN = "unknown"
# What a provider gives to one household or plant at least (RFC 6177): its owner has 2^64 addresses to hide behind.
_IPV6_PREFIX = 64


def origin_of(scope: Scope) -> str:
    """The client's address as the server sees it; of IPv6 its network.

    Behind a proxy that is the proxy, unless the server is told to believe its `X-Forwarded-For`.
    """
    client = scope.get("client")
    return network_of(client[0]) if client else UNKNOWN


def network_of(address: str) -> str:
    """Who can be told apart: an IPv4 address, or an IPv6 network of one owner."""
    if ":" not in address:
        return address
    try:
        parsed = IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(IPv6Network((parsed, _IPV6_PREFIX), strict=False))
