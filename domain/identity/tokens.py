"""Access tokens: JWTs of our own, signed with ES256, in the profile of RFC 9068."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import ECKey

from domain.identity.viewer import Viewer
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.keys import token_key
from kernel.settings import Settings

ALGORITHM = "ES256"
TOKEN_LENGTH_MAX = 4_096
CLOCK_SKEW_S = 5


class TokenRefused(YoukaError):
    code = "TOKEN_INVALID"
    messages = {"zh-CN": "访问令牌无效，请重新登录", "en": "The access token is not valid, please sign in again"}


class TokenExpired(TokenRefused):
    code = "TOKEN_EXPIRED"
    messages = {"zh-CN": "登录已过期，请重新登录", "en": "The access token has expired, please sign in again"}


class TokenAuthority:
    """Issues and checks access tokens of one issuer for one audience."""

    def __init__(self, *, key: ECKey, issuer: str, audience: str, lifetime: timedelta) -> None:
        self._key = key
        self._issuer, self._audience, self._lifetime = issuer, audience, lifetime
        self._kid = key.thumbprint()

    @property
    def lifetime_s(self) -> int:
        return int(self._lifetime.total_seconds())

    def key_set(self) -> dict[str, Any]:
        """Return the public keys as a JWK Set (RFC 7517)."""
        public: dict[str, Any] = {**self._key.as_dict(private=False), "kid": self._kid, "use": "sig", "alg": ALGORITHM}
        return {"keys": [public]}

    def issue(self, *, user_id: UUID, client_id: str, scopes: frozenset[str], now: datetime) -> str:
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "sub": str(user_id),
            "client_id": client_id,
            "scope": " ".join(sorted(scopes)),
            "iat": int(now.timestamp()),
            "exp": int((now + self._lifetime).timestamp()),
            "jti": str(new_id()),
        }
        return jwt.encode({"alg": ALGORITHM, "typ": "at+jwt", "kid": self._kid}, claims, self._key)

    def authenticate(self, token: str, *, now: datetime) -> Viewer:
        """Return who the token names. Raises TokenRefused, or TokenExpired where that is all that is wrong."""
        if len(token) > TOKEN_LENGTH_MAX:
            raise TokenRefused
        try:
            decoded = jwt.decode(token, self._key, algorithms=[ALGORITHM])
            if decoded.header.get("typ") != "at+jwt":
                raise TokenRefused
            self._registry(now).validate(decoded.claims)
            return Viewer(
                user_id=UUID(decoded.claims["sub"]),
                client_id=str(decoded.claims["client_id"]),
                scopes=frozenset(str(decoded.claims["scope"]).split()),
                expires_at=datetime.fromtimestamp(decoded.claims["exp"], UTC),
            )
        except ExpiredTokenError as error:
            raise TokenExpired from error
        except (JoseError, ValueError, TypeError, KeyError, OverflowError) as error:
            raise TokenRefused from error

    def _registry(self, now: datetime) -> jwt.JWTClaimsRegistry:
        return jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=CLOCK_SKEW_S,
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._audience},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            client_id={"essential": True},
            scope={"essential": True},
        )


def authority(settings: Settings) -> TokenAuthority:
    """Return the authority of this deployment. Raises KeyMissing."""
    return TokenAuthority(
        key=token_key(settings),
        issuer=settings.token_issuer,
        audience=settings.token_audience,
        lifetime=timedelta(seconds=settings.token_lifetime_s),
    )
