"""Ports for whatever a test starts."""

from __future__ import annotations

from ronda import guards


def free_port() -> int:
    """A port of the loopback that nobody listens on now."""
    return guards.free_port(guards.LOOPBACK)
