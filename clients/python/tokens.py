"""Tokens: those of a partner's client, which proves who it is by its private key (RFC 7523), or one that is at hand."""

from __future__ import annotations

import asyncio
import secrets
import time
from typing import Any, Protocol

import httpx
from joserfc import jwt
from joserfc.jwk import ECKey, Key

from .errors import SignInFailed

ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
METADATA_PATH = "/.well-known/oauth-authorization-server"
ASSERTION_LIFETIME_S = 60
# A token is renewed so long before it expires, or at half of its life where that is shorter.
MARGIN_S = 30.0


class Tokens(Protocol):
    """Where access tokens come from."""

    async def token(self, http: httpx.AsyncClient, *, refused: str | None = None) -> str:
        """Return a token that is good for now, and another one than `refused`. Raises SignInFailed."""


class FixedToken:
    """A token that was had elsewhere."""

    def __init__(self, token: str) -> None:
        self._token = token

    async def token(self, http: httpx.AsyncClient, *, refused: str | None = None) -> str:
        if refused == self._token:
            raise SignInFailed("invalid_token", "the token is not good any more")
        return self._token


class ClientCredentials:
    """The tokens of one client, asked for when the last one is about to expire. One may be shared by many calls.

    `key` is the private key: a JWK of joserfc, P-256.
    """

    def __init__(self, client_id: str, key: Key, *, scopes: str | None = None) -> None:
        self._client_id, self._key, self._scopes = client_id, key, scopes
        self._endpoint: str | None = None
        self._token: str | None = None
        self._renew_at_s = 0.0
        self._asking = asyncio.Lock()

    async def token(self, http: httpx.AsyncClient, *, refused: str | None = None) -> str:
        # Whoever comes while somebody asks takes what they were given.
        async with self._asking:
            if self._token is None or self._token == refused or time.monotonic() >= self._renew_at_s:
                await self._ask(http)
            assert self._token is not None
            return self._token

    async def _ask(self, http: httpx.AsyncClient) -> None:
        if self._endpoint is None:
            metadata = _checked(await http.get(METADATA_PATH))
            self._endpoint = str(metadata["token_endpoint"])
        form = {
            "grant_type": "client_credentials",
            "client_assertion_type": ASSERTION_TYPE,
            "client_assertion": assertion(self._client_id, self._key, self._endpoint),
            **({"scope": self._scopes} if self._scopes else {}),
        }
        given = _checked(await http.post(self._endpoint, data=form))
        lifetime_s = float(given["expires_in"])
        self._token = str(given["access_token"])
        self._renew_at_s = time.monotonic() + max(lifetime_s - MARGIN_S, lifetime_s / 2)


def assertion(client_id: str, key: Key, audience: str) -> str:
    """Return what proves to a token endpoint who asks (RFC 7523): good once, for a minute."""
    now = int(time.time())
    claims = {
        "iss": client_id,
        "sub": client_id,
        "aud": audience,
        "iat": now,
        "exp": now + ASSERTION_LIFETIME_S,
        "jti": secrets.token_urlsafe(16),
    }
    return jwt.encode({"alg": "ES256", "kid": key.thumbprint()}, claims, key)


def new_key_pair() -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a new private key and its public half, as JWKs. Whoever runs the service is given the second only."""
    key = ECKey.generate_key("P-256")
    return dict(key.as_dict(private=True)), dict(key.as_dict(private=False))


def _checked(answer: httpx.Response) -> dict[str, Any]:
    """Raises SignInFailed."""
    try:
        body = answer.json()
    except ValueError:
        body = None
    if answer.is_success and isinstance(body, dict):
        return body
    error = body if isinstance(body, dict) else {}
    raise SignInFailed(str(error.get("error", f"HTTP {answer.status_code}")), str(error.get("error_description", "")))
