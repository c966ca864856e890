"""Clients that prove who they are by a signed JWT (`private_key_jwt`: RFC 7523, section 2.2 and 3)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

import orjson
from joserfc import jws, jwt
from joserfc.errors import BadSignatureError, JoseError
from joserfc.jwk import ECKey, RSAKey
from joserfc.util import urlsafe_b64decode
from tortoise.exceptions import IntegrityError

from domain.access.policy import Policy
from domain.access.rules import hash_of
from domain.identity.tokens import CLOCK_SKEW_S
from kernel.errors import YoukaError
from kernel.ids import new_id
from models.access import AssertionSeen, ClientKey
from models.database import transactional

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
ASSERTION_LENGTH_MAX = 8_192
JTI_LENGTH_MAX = 256
# While keys overlap a client that names none may have signed with either; more than these it never needs.
KEYS_TRIED_MAX = 4
# Each kind of key with the algorithms that it may sign by; no key is ever read as another kind.
ALGORITHMS = {"EC": ("ES256",), "RSA": ("PS256", "RS256")}
RSA_BITS_MIN, RSA_BITS_MAX = 2_048, 8_192
JWK_SIZE_MAX_BYTES = 4_096
CURVE = "P-256"


class ClientKeyInvalid(YoukaError):
    code = "CLIENT_KEY_INVALID"
    messages = {
        "zh-CN": "密钥须为P-256或2048至8192位RSA公钥的JWK，且不含私钥",
        "en": "The key must be the JWK of a public key: P-256, or RSA of 2048 to 8192 bits, without its private part",
    }


class AssertionRefused(Exception):
    """The assertion does not prove who the client is; `reason` is for our log, and holds nothing of it."""


def read_key(text: str) -> dict[str, Any]:
    """Return the public JWK in a JSON text, with its thumbprint (RFC 7638) as `kid`. Raises ClientKeyInvalid."""
    if len(text.encode()) > JWK_SIZE_MAX_BYTES:
        raise ClientKeyInvalid
    try:
        given = orjson.loads(text)
        key = _imported(given)
    except (orjson.JSONDecodeError, JoseError, ValueError, TypeError, KeyError) as error:
        raise ClientKeyInvalid from error
    return {**key.as_dict(private=False), "kid": key.thumbprint()}


def _imported(given: Any) -> ECKey | RSAKey:
    """Raises ClientKeyInvalid, or what the library raises for what is no key."""
    if not isinstance(given, dict) or "d" in given:
        # A private key that was sent is not secret any more, so it is not taken even for its public half.
        raise ClientKeyInvalid
    plain = {name: given[name] for name in ("kty", "crv", "x", "y", "n", "e") if name in given}
    if plain.get("kty") == "EC" and plain.get("crv") == CURVE:
        return ECKey.import_key(plain)
    if plain.get("kty") == "RSA" and RSA_BITS_MIN <= _bits(plain["n"]) <= RSA_BITS_MAX:
        return RSAKey.import_key(plain)
    raise ClientKeyInvalid


def _bits(number: str) -> int:
    return int.from_bytes(urlsafe_b64decode(number.encode()), "big").bit_length()


def claimed_client(assertion: str) -> str:
    """Return whom an assertion claims to be from, before anything of it is believed. Raises AssertionRefused."""
    if len(assertion) > ASSERTION_LENGTH_MAX:
        raise AssertionRefused("too long")
    try:
        claims = orjson.loads(jws.extract_compact(assertion.encode()).payload)
    except (JoseError, ValueError) as error:
        raise AssertionRefused("not a signed JWT") from error
    subject = claims.get("sub") if isinstance(claims, dict) else None
    if not isinstance(subject, str):
        raise AssertionRefused("no subject")
    return subject


async def accept(assertion: str, *, client_id: str, audiences: Collection[str], policy: Policy, now: datetime) -> None:
    """Take an assertion of the client once. Raises AssertionRefused."""
    rows = await ClientKey.filter(client_id=client_id).order_by("-created_at", "-id")
    keys = [_imported(row.jwk) for row in rows if row.until is None or row.until > now]
    claims = _verified(assertion, keys, client_id, audiences, now)
    expires_at = datetime.fromtimestamp(claims["exp"], now.tzinfo)
    if expires_at > now + policy.assertion_lifetime_max:
        raise AssertionRefused("it is good for too long")
    jti = claims["jti"]
    if not isinstance(jti, str) or not 0 < len(jti) <= JTI_LENGTH_MAX:
        raise AssertionRefused("no usable jti")
    await _remember(client_id, jti, expires_at)


def _verified(
    assertion: str, keys: Sequence[ECKey | RSAKey], client_id: str, audiences: Collection[str], now: datetime
) -> dict[str, Any]:
    """Return the claims. Raises AssertionRefused."""
    registry = jwt.JWTClaimsRegistry(
        now=int(now.timestamp()),
        leeway=CLOCK_SKEW_S,
        iss={"essential": True, "value": client_id},
        sub={"essential": True, "value": client_id},
        aud={"essential": True, "values": list(audiences)},
        exp={"essential": True},
        jti={"essential": True},
    )
    try:
        claims = _claims(assertion, keys)
        registry.validate(claims)
    except (JoseError, ValueError, TypeError, OverflowError) as error:
        raise AssertionRefused(type(error).__name__) from error
    return claims


def _claims(assertion: str, keys: Sequence[ECKey | RSAKey]) -> dict[str, Any]:
    """Return what one of the keys has signed: the one that `kid` names, or any of the newest where it names none.

    Raises AssertionRefused, or what the library raises for what is no JWT.
    """
    header = jws.extract_compact(assertion.encode()).headers()
    kid, algorithm = header.get("kid"), header.get("alg")
    fitting = [key for key in keys if kid in {None, key.thumbprint()} and algorithm in ALGORITHMS[key.key_type]]
    for key in fitting[:KEYS_TRIED_MAX]:
        try:
            return jwt.decode(assertion, key, list(ALGORITHMS[key.key_type])).claims
        except BadSignatureError:
            continue
    raise AssertionRefused("no key of the client has signed it")


@transactional
async def _write(client_id: str, jti: str, expires_at: datetime) -> None:
    await AssertionSeen.create(id=new_id(), client_id=client_id, jti_hash=hash_of(jti), expires_at=expires_at)


async def _remember(client_id: str, jti: str, expires_at: datetime) -> None:
    try:
        await _write(client_id, jti, expires_at)
    except IntegrityError as error:
        raise AssertionRefused("it was used before") from error
