"""Tokens: signed and verified here and nowhere else."""

from __future__ import annotations

import hmac
import re
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec
from jose import JOSEError, jwk, jwt
from jose.backends.base import Key

from cloud.api.callers import Caller

# Pinned: what the token's own header asks for is never believed (RFC 8725 section 3.1).
ALGORITHM = "HS256"
ISSUER = "ronda"
AUDIENCE = "ronda-api"
# Long enough for a batch job, short enough that a leaked one soon is worthless.
TOKEN_LIFETIME_S = 3600
# A shift: a person logs in once.
SESSION_LIFETIME_S = 12 * 3600
# A token may have been made by another process of ours, on a machine whose clock is ahead. The end has no such grace:
# it would only make every token live longer.
LEEWAY_S = 30
# About 1 KB each; python-jose takes 25 µs for what the cache answers in one.
CACHED_TOKENS = 1024
# Longest token accepted; one with 100 device grants has about 3,000 characters.
MAX_TOKEN_CHARS = 8192
# Ended tokens whose time has come need not be remembered; a session's is up within a shift.
_TIDY_EVERY_S = 600

_SHAPE = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
# Times are ours to check, by the clock that was handed in; what must be there, `_Claims` says.
_TIMES_LATER = {"verify_exp": False, "verify_nbf": False, "verify_iat": False}
# Enough to tell a handful of keys apart; what HMAC tells of its key, any signature tells as well.
_KID_CHARS = 16


class InvalidTokenError(Exception):
    """The token is not ours, not whole or not valid any more. The reason stays with us: it would only help a forger."""


class AuthSettings(msgspec.Struct, frozen=True, kw_only=True):
    """What the doors are locked with: the secret that signs tokens, those that signed before it and are still
    believed, and the key of machines (header `X-API-Key`), if any.
    """

    jwt_secret: str
    previous_secrets: Sequence[str] = ()
    api_key: str | None = None

    def __post_init__(self) -> None:
        if not self.jwt_secret:
            raise ValueError("JWT_SECRET is empty; make one: openssl rand -hex 32")


class Tokens:
    """Mints and verifies tokens; remembers those already verified, and those whose owner logged out.

    The first secret signs. Those of `previous` only verify, so that a secret can be replaced without logging anybody
    out: the old one moves there, and goes for good when the last token it signed has ended.
    """

    def __init__(self, secret: str, now_s: Callable[[], float], previous: Sequence[str] = ()) -> None:
        self._now_s = now_s
        self._keys = {key_id(each): _key(each) for each in (*previous, secret)}
        self._signs = key_id(secret)
        self._verified: OrderedDict[str, Caller] = OrderedDict()
        self._ended: dict[str, int] = {}
        self._tidied_at_s = 0.0

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
            "nbf": now,
            "exp": now + lifetime_s,
            "jti": secrets.token_hex(16),
            "scope": " ".join(sorted(scopes)),
            "devices": list(devices),
        }
        return str(jwt.encode(claims, self._keys[self._signs], ALGORITHM, headers={"kid": self._signs}))

    def verify(self, token: str) -> Caller:
        """Whom the token names. Raises: InvalidTokenError for anything but a valid token of ours."""
        caller = self._verified.get(token)
        if caller is None:
            caller = self._caller(self._claims(token))
            self._remember(token, caller)
        if caller.expires_at_s is None or caller.expires_at_s <= self._now_s():
            raise InvalidTokenError("expired")
        if caller.token_id in self._ended:
            raise InvalidTokenError("logged out")
        return caller

    def end(self, token_id: str, expires_at_s: int) -> None:
        """The owner logged out: the token is refused from now on, although its time has not come."""
        self._ended[token_id] = expires_at_s
        now_s = self._now_s()
        if now_s - self._tidied_at_s > _TIDY_EVERY_S:
            self._tidied_at_s = now_s
            self._ended = {each: ends_s for each, ends_s in self._ended.items() if ends_s > now_s}

    def _claims(self, token: str) -> dict[str, Any]:
        if len(token) > MAX_TOKEN_CHARS or _SHAPE.fullmatch(token) is None:
            raise InvalidTokenError("shape")
        try:
            key = self._key_of(jwt.get_unverified_header(token))
            return jwt.decode(
                token, key, algorithms=[ALGORITHM], audience=AUDIENCE, issuer=ISSUER, options=_TIMES_LATER
            )
        except JOSEError as error:
            raise InvalidTokenError(str(error)) from error

    def _key_of(self, header: dict[str, Any]) -> Key:
        """The key that the header names, if the header is one of ours to the letter.

        So `alg: none`, another algorithm, an unknown key and every extension (`crit`, `jku`, `jwk`) end here.
        """
        for kid, key in self._keys.items():
            if header == {"alg": ALGORITHM, "kid": kid, "typ": "JWT"}:
                return key
        raise InvalidTokenError("header")

    def _caller(self, claims: dict[str, Any]) -> Caller:
        try:
            said = msgspec.convert(claims, _Claims)
        except msgspec.ValidationError as error:
            raise InvalidTokenError(str(error)) from error
        if max(said.iat, said.nbf) > self._now_s() + LEEWAY_S:
            raise InvalidTokenError("not yet")
        return Caller(
            subject=said.sub,
            scopes=frozenset(said.scope.split()),
            devices=tuple(said.devices),
            token_id=said.jti,
            expires_at_s=said.exp,
        )

    def _remember(self, token: str, caller: Caller) -> None:
        self._verified[token] = caller
        if len(self._verified) > CACHED_TOKENS:
            self._verified.popitem(last=False)


class _Claims(msgspec.Struct):
    """What every token of ours says; one that leaves anything out is not ours."""

    iss: str
    aud: str
    sub: str
    jti: str
    iat: int
    nbf: int
    exp: int
    scope: str
    devices: list[str]


def key_id(secret: str) -> str:
    """The name of a secret in a token's header (RFC 7515 section 4.1.4): the same everywhere, and no part of it."""
    return hmac.digest(secret.encode(), b"ronda token key", "sha256").hex()[:_KID_CHARS]


def _key(secret: str) -> Key:
    """A key object rather than the text: python-jose would read a text that looks like JSON as a set of keys."""
    try:
        return jwk.construct(secret.encode(), ALGORITHM)
    except JOSEError as error:
        raise ValueError(f"JWT_SECRET: {error}; make one: openssl rand -hex 32") from error
