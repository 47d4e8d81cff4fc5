"""Names and passwords in, tokens out: people by their user, devices by their own broker credentials."""

from __future__ import annotations

import asyncio
import logging
from typing import NamedTuple

from cloud.api.auth import TOKEN_LIFETIME_S, Tokens
from cloud.api.callers import Caller, Scope, granted
from cloud.api.counters import Counters
from cloud.api.ports import DeviceCredentials, Users
from cloud.api.problems import Problem
from cloud.api.throttle import MAX_FAILURES_PER_ADDRESS, FailureLimit
from contract.errors import ContractError
from contract.names import split_address

log = logging.getLogger("ronda.api.login")

# An Argon2 verification takes tens of MB and most of a core for tens of ms.
_VERIFICATIONS_AT_ONCE = 2
# Longer ones are never ours; hashing them would be work for free.
_MAX_CHARS = 256


class Grant(NamedTuple):
    """A token, and what it allows for how many seconds."""

    token: str
    scopes: frozenset[str]
    lifetime_s: int


class Login:
    """Checks who somebody is. One text for every failure, so that nobody learns which users exist."""

    def __init__(self, users: Users, devices: DeviceCredentials, tokens: Tokens, counters: Counters) -> None:
        self._users = users
        self._devices = devices
        self._tokens = tokens
        self._per_user = FailureLimit(counters, "login-user")
        self._per_address = FailureLimit(counters, "login-address", MAX_FAILURES_PER_ADDRESS)
        self._verifying = asyncio.Semaphore(_VERIFICATIONS_AT_ONCE)

    async def grant(
        self, username: str, password: str, asked: str, address: str, lifetime_s: int = TOKEN_LIFETIME_S
    ) -> Grant:
        """A token with the scopes `asked` for, or all.

        Raises: Problem 401 for a wrong user or password, 400 for a scope not held, 429 after too many failures.
        """
        await self._check_pace(username, address)
        async with self._verifying:
            # Asked again: a burst of guesses waits here together.
            await self._check_pace(username, address)
            who = await self._who(username, password)
            if who is None:
                await self._note_failure(username, address)
                raise Problem(401, "invalid_credentials", "user name or password is wrong")
        await self._per_user.succeeded(username, address)
        scopes = granted(asked, who.scopes)
        if scopes is None:
            raise Problem(400, "invalid_scope", f"this user holds: {' '.join(sorted(who.scopes))}")
        log.info("login.succeeded", extra={"agent": "api", "subject": who.subject, "address": address})
        token = self._tokens.mint(who.subject, scopes, who.devices, lifetime_s)
        return Grant(token, scopes, lifetime_s)

    async def _who(self, username: str, password: str) -> Caller | None:
        if len(username) > _MAX_CHARS or len(password) > _MAX_CHARS or not username.isprintable():
            return None
        if "/" in username:
            return self._device(username, password)
        user = await self._users.authenticate(username, password)
        if user is None:
            return None
        return Caller(subject=user.username, scopes=frozenset(user.scopes), devices=tuple(user.devices))

    def _device(self, username: str, password: str) -> Caller | None:
        """A device speaks for itself alone."""
        try:
            split_address(username)
        except ContractError:
            return None
        if not self._devices.verify(username, password):
            return None
        return Caller(subject=username, scopes=frozenset({Scope.INGEST_WRITE}), devices=(username,))

    async def _check_pace(self, username: str, address: str) -> None:
        wait_s = max(await self._per_user.wait_s(username, address), await self._per_address.wait_s(address))
        if wait_s:
            detail = f"too many failed logins; try again in {wait_s} s"
            raise Problem(429, "too_many_attempts", detail, headers={"Retry-After": str(wait_s)})

    async def _note_failure(self, username: str, address: str) -> None:
        await self._per_user.failed(username, address)
        await self._per_address.failed(address)
        # The name may be a password typed into the wrong field: not logged.
        log.warning("login.failed", extra={"agent": "api", "address": address})
