"""Tokens that are not ours, by what is wrong with them: what an attacker would try, and what goes wrong by itself."""

from __future__ import annotations

import base64
import json
import time
from functools import cache

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from jose import jwk, jws, jwt
from jose.backends.native import HMACKey

from cloud.api.auth import AUDIENCE, ISSUER, LEEWAY_S, Tokens, key_id
from tests.api.conftest import ALL_SCOPES, SECRET, token

CLAIMS = ("iss", "aud", "sub", "iat", "nbf", "exp", "jti", "scope", "devices")
OTHER_SECRET = "another secret of thirty-two bytes and more"
OURS = {"kid": key_id(SECRET)}


def forged() -> dict[str, str]:
    """Each would open every door if only it were believed."""
    return {**_by_key(), **_by_header(), **_by_claim(), **_by_text()}


def _claims(**changes: object) -> dict[str, object]:
    now = int(time.time())
    claims = {
        "iss": ISSUER, "aud": AUDIENCE, "sub": "mallory", "iat": now, "nbf": now, "exp": now + 600, "jti": "1",
        "scope": " ".join(ALL_SCOPES), "devices": ["*"],
    }  # fmt: skip
    return claims | changes


def signed(claims: dict[str, object] | None = None, secret: str = SECRET, algorithm: str = "HS256", **header: object):
    """What python-jose makes of it, under the name of our key unless another is given."""
    made = jwt.encode(claims or _claims(), secret, algorithm=algorithm, headers=OURS | header)
    return str(made)


def part(value: object) -> str:
    """One of the three parts of a token."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


@cache
def _rsa() -> tuple[str, bytes]:
    """A private and a public key, as PEM."""
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return private, key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def _by_key() -> dict[str, str]:
    private, public = _rsa()
    # python-jose itself refuses to sign with a public key; an attacker does not ask it.
    as_secret = HMACKey("x", "HS256")
    as_secret.prepared_key = public
    confused = f"{part({'alg': 'HS256', 'typ': 'JWT'} | OURS)}.{part(_claims())}"
    signature = base64.urlsafe_b64encode(as_secret.sign(confused.encode())).rstrip(b"=").decode()
    embedded = jwk.construct(public, "RS256").to_dict()
    return {
        "another key": signed(secret=OTHER_SECRET),
        "another key under its own name": signed(secret=OTHER_SECRET, kid=key_id(OTHER_SECRET)),
        "another installation's": Tokens(OTHER_SECRET, time.time).mint("mallory", ALL_SCOPES, ["*"]),
        "an empty key": signed(secret=""),
        "RSA under the name of our key": signed(secret=private, algorithm="RS256"),
        "RSA with its key beside it": signed(secret=private, algorithm="RS256", jwk=embedded),
        "a public key as HMAC secret": f"{confused}.{signature}",
        "the name of the key as key": signed(secret=key_id(SECRET)),
    }


def _by_header() -> dict[str, str]:
    _, _, signature = token().split(".")
    unsigned = {
        f"alg {alg}": f"{part({'alg': alg, 'typ': 'JWT'} | OURS)}.{part(_claims())}.{signature}"
        for alg in ("none", "None", "NONE", "", None, ["HS256"], {})
    }
    return unsigned | {
        "alg none and no signature": f"{part({'alg': 'none', 'typ': 'JWT'} | OURS)}.{part(_claims())}.",
        "no alg": f"{part({'typ': 'JWT'} | OURS)}.{part(_claims())}.{signature}",
        "a longer hash": signed(algorithm="HS512"),
        "no name of a key": str(jwt.encode(_claims(), SECRET)),
        "an unknown key": signed(kid="0123456789abcdef"),
        "a key that is a path": signed(kid="../../dev/null"),
        "a key that is a list": signed(kid=[key_id(SECRET)]),
        "an extension we do not know": signed(crit=["b64"], b64=False),
        "a key from elsewhere": signed(jku="https://evil.example/keys"),
        "another type": signed(typ="at+jwt"),
    }


def _by_claim() -> dict[str, str]:
    now = int(time.time())
    head, _, signature = token().split(".")
    return {
        "expired": Tokens(SECRET, lambda: time.time() - 3601).mint("ana", ALL_SCOPES, ["*"]),
        "expired a second ago": signed(_claims(exp=now - 1)),
        "another audience": signed(_claims(aud="somebody-else")),
        "many audiences": signed(_claims(aud=[AUDIENCE, "somebody-else"])),
        "another issuer": signed(_claims(iss="somebody-else")),
        "not yet": signed(_claims(nbf=now + LEEWAY_S + 60)),
        "made in the future": signed(_claims(iat=now + LEEWAY_S + 60)),
        "an end that is a text": signed(_claims(exp="tomorrow")),
        "a start that is a list": signed(_claims(iat=[])),
        "devices that are a text": signed(_claims(devices="*")),
        "scopes that are a list": signed(_claims(scope=list(ALL_SCOPES))),
        "claims that are a list": jws.sign(json.dumps([_claims()]).encode(), SECRET, headers=OURS),
        "changed claims": f"{head}.{part(_claims())}.{signature}",
        **{
            f"without {claim}": signed({name: value for name, value in _claims().items() if name != claim})
            for claim in CLAIMS
        },
    }


def _by_text() -> dict[str, str]:
    head, body, signature = token().split(".")
    return {
        "a changed signature": f"{head}.{body}.{signature[:-4]}AAAA",
        "half a signature": f"{head}.{body}.{signature[:22]}",
        "no token at all": "abc",
        "huge": "a" * 20_000,
        "huge in three parts": f"{head}.{'A' * 20_000}.{signature}",
        "empty parts": "..",
        "four parts": f"{head}.{body}.{signature}.{signature}",
        "deeply nested": f"{base64.urlsafe_b64encode(b'[' * 3000).decode()}.{body}.{signature}",
        "no JSON": f"{base64.urlsafe_b64encode(bytes(range(128, 158))).decode().rstrip('=')}.{body}.{signature}",
    }
