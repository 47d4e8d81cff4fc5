"""Tokens: signed and verified here and nowhere else."""

from __future__ import annotations

import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Any

import msgspec
from jose import JWTError, jwt

from cloud.api.callers import Caller

# Pinned: what the token's own header asks for is never believed (RFC 8725 section 3.1).
ALGORITHM = "HS256"
ISSUER = "ronda"
AUDIENCE = "ronda-api"
# Long enough for a batch job, short enough that a leaked one soon is worthless.
TOKEN_LIFETIME_S = 3600
# A shift: a person logs in once.
SESSION_LIFETIME_S = 12 * 3600
# About 1 KB each; python-jose takes 33 µs for what the cache answers in one.
CACHED_TOKENS = 1024
# Longest token accepted; one with 100 device grants has about 3,000 characters.
MAX_TOKEN_CHARS = 8192

_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_MUST_HAVE = {f"require_{claim}": True for claim in ("iss", "aud", "exp", "iat", "jti", "sub")}


class InvalidTokenError(Exception):
    """The token is not ours, not whole or not valid any more. The reason stays with us: it would only help a forger."""


class AuthSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the doors are locked with: the token's secret, and the key of machines (header `X-API-Key`), if any."""

    jwt_secret: str
    api_key: str | None = None

    def __post_init__(self) -> None:
        if not self.jwt_secret:
            raise ValueError("JWT_SECRET is empty; make one: openssl rand -hex 32")


class Tokens:
    """Mints and verifies tokens; remembers those already verified, and those whose owner logged out."""

    def __init__(self, secret: str, now_s: Callable[[], float]) -> None:
        self._secret = secret
        self._now_s = now_s
        self._verified: OrderedDict[str, Caller] = OrderedDict()
        self._ended: OrderedDict[str, int] = OrderedDict()

    def mint(
        self, subject: str, scopes: Iterable[str], devices: Iterable[str] = (), lifetime_s: int = TOKEN_LIFETIME_S
    ) -> str:
        """A signed token that says who may do what until when."""
        now = int(self._now_s())
        claims = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": subject,
            "iat": now,
            "exp": now + lifetime_s,
            "jti": secrets.token_hex(16),
            "scope": " ".join(sorted(scopes)),
            "devices": list(devices),
        }
        return str(jwt.encode(claims, self._secret, algorithm=ALGORITHM))

    def verify(self, token: str) -> Caller:
        """Whom the token names. Raises: InvalidTokenError for anything but a valid token of ours."""
        caller = self._verified.get(token)
        if caller is None:
            caller = _caller(self._claims(token))
            self._remember(token, caller)
        if caller.expires_at_s is None or caller.expires_at_s <= self._now_s():
            raise InvalidTokenError("expired")
        if caller.token_id in self._ended:
            raise InvalidTokenError("logged out")
        return caller

    def end(self, caller: Caller) -> None:
        """The owner logged out: the token is refused from now on, although its time has not come."""
        if caller.token_id is None or caller.expires_at_s is None:
            return
        self._ended[caller.token_id] = caller.expires_at_s
        while self._ended and next(iter(self._ended.values())) <= self._now_s():
            self._ended.popitem(last=False)

    def _claims(self, token: str) -> dict[str, Any]:
        if len(token) > MAX_TOKEN_CHARS or _SHAPE.fullmatch(token) is None:
            raise InvalidTokenError("shape")
        try:
            return jwt.decode(
                token, self._secret, algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER, options=_MUST_HAVE
            )
        except JWTError as error:
            raise InvalidTokenError(str(error)) from error

    def _remember(self, token: str, caller: Caller) -> None:
        self._verified[token] = caller
        if len(self._verified) > CACHED_TOKENS:
            self._verified.popitem(last=False)


class _Claims(msgspec.Struct):
    sub: str
    jti: str
    exp: int
    scope: str
    devices: list[str]


def _caller(claims: dict[str, Any]) -> Caller:
    try:
        said = msgspec.convert(claims, _Claims)
    except msgspec.ValidationError as error:
        raise InvalidTokenError(str(error)) from error
    return Caller(
        subject=said.sub,
        scopes=frozenset(said.scope.split()),
        devices=tuple(said.devices),
        token_id=said.jti,
        expires_at_s=said.exp,
    )
