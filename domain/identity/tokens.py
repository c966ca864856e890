"""Access tokens: JWTs of our own, signed with ES256, in the profile of RFC 9068."""

from __future__ import annotations

import sys
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import Any, NamedTuple
from uuid import UUID

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, JoseError
from joserfc.jwk import ECKey

from domain.identity.revocations import Revocations
from domain.identity.viewer import Viewer
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.keys import token_key
from kernel.settings import Settings

ALGORITHM = "ES256"
TYPE = "at+jwt"
TOKEN_LENGTH_MAX = 4_096
CLOCK_SKEW_S = 5
BEGINNING = datetime.min.replace(tzinfo=UTC)
END = datetime.max.replace(tzinfo=UTC)
VERIFIED_KEPT_MAX = 8_192
SCOPES_KNOWN_MAX = 256


class TokenRefused(YoukaError):
    code = "TOKEN_INVALID"
    messages = {"zh-CN": "访问令牌无效，请重新登录", "en": "The access token is not valid, please sign in again"}


class TokenExpired(TokenRefused):
    code = "TOKEN_EXPIRED"
    messages = {"zh-CN": "登录已过期，请重新登录", "en": "The access token has expired, please sign in again"}


class SessionEnded(TokenRefused):
    code = "SESSION_ENDED"
    messages = {"zh-CN": "该设备已退出登录，请重新登录", "en": "This device was signed out, please sign in again"}


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that signs from `active_from` on, and whose signatures are good until `expires_at`, where that is set."""

    key: ECKey
    active_from: datetime = BEGINNING
    expires_at: datetime | None = None

    @property
    def kid(self) -> str:
        return self.key.thumbprint()

    def is_known(self, now: datetime) -> bool:
        return self.expires_at is None or now < self.expires_at


class Verified(NamedTuple):
    """Whom a token names, and between which moments nothing but a revocation could have it refused."""

    viewer: Viewer
    since: datetime
    until: datetime


class TokenAuthority:
    """Issues and checks access tokens of one issuer for one audience.

    It begins with one key; `use` gives it those that all processes have agreed on. A signature is checked once: of the
    tokens that were taken, `kept_max` are known by every letter of theirs until they expire or the keys change.
    """

    def __init__(
        self,
        *,
        key: ECKey,
        issuer: str,
        audience: str,
        lifetime: timedelta,
        revocations: Revocations | None = None,
        kept_max: int = VERIFIED_KEPT_MAX,
    ) -> None:
        self.issuer = issuer
        self.revocations = revocations or Revocations()
        self._audience, self._lifetime = audience, lifetime
        self._verified: OrderedDict[str, Verified] = OrderedDict()
        self._kept_max = kept_max
        self._keys: dict[str, SigningKey] = {}
        self.use([SigningKey(key)])

    @property
    def lifetime_s(self) -> int:
        return int(self._lifetime.total_seconds())

    @property
    def lifetime_with_skew(self) -> timedelta:
        """How long after it was issued a token may still be taken."""
        return self._lifetime + timedelta(seconds=CLOCK_SKEW_S)

    def use(self, keys: Sequence[SigningKey]) -> None:
        """Sign and check with these keys from now on."""
        assert keys, "there is always a key"
        changed = {each.kid: each for each in keys}
        if changed != self._keys:
            self._verified.clear()
        self._keys = changed

    def key_set(self, now: datetime | None = None) -> dict[str, Any]:
        """Return the public keys as a JWK Set (RFC 7517), those that do not sign yet included."""
        now = now or datetime.now(UTC)
        known = [each for each in self._keys.values() if each.is_known(now)]
        return {
            "keys": [
                {**each.key.as_dict(private=False), "kid": each.kid, "use": "sig", "alg": ALGORITHM} for each in known
            ]
        }

    def issue(
        self,
        *,
        user_id: UUID,
        client_id: str,
        scopes: frozenset[str],
        now: datetime,
        session_id: UUID | None = None,
        **more: str,
    ) -> str:
        """Return a token; `more` are further claims, such as the vehicle that a car's token is bound to."""
        signing = self._signing(now)
        claims: dict[str, Any] = {
            **more,
            "iss": self.issuer,
            "aud": self._audience,
            "sub": str(user_id),
            "client_id": client_id,
            "scope": " ".join(sorted(scopes)),
            "iat": int(now.timestamp()),
            "exp": int((now + self._lifetime).timestamp()),
            "jti": str(new_id()),
        }
        if session_id:
            claims["sid"] = str(session_id)
        return jwt.encode({"alg": ALGORITHM, "typ": TYPE, "kid": signing.kid}, claims, signing.key)

    def authenticate(self, token: str, *, now: datetime) -> Viewer:
        """Return who the token names.

        Raises TokenRefused, or TokenExpired or SessionEnded where that is all that is wrong.
        """
        known = self.known(token, now=now)
        if known is not None:
            return known
        viewer = self._verify(token, now)
        if self.is_over(viewer):
            raise SessionEnded
        return viewer

    def known(self, token: str, *, now: datetime) -> Viewer | None:
        """Return who the token names where it was taken before, None where it has to be checked.

        Raises SessionEnded: that may happen at any time.
        """
        found = self._verified.get(token)
        if found is None:
            return None
        # A clock that was put back makes it what was not issued yet.
        if not found.since <= now < found.until:
            del self._verified[token]
            return None
        if self.is_over(found.viewer):
            raise SessionEnded
        self._verified.move_to_end(token)
        return found.viewer

    def _verify(self, token: str, now: datetime) -> Viewer:
        if len(token) > TOKEN_LENGTH_MAX:
            raise TokenRefused
        try:
            decoded = jwt.decode(token, lambda jws: self._verifying(jws.headers().get("kid"), now).key, [ALGORITHM])
            if decoded.header.get("typ") != TYPE:
                raise TokenRefused
            self._registry(now).validate(decoded.claims)
            viewer = _viewer_of(decoded.claims)
        except ExpiredTokenError as error:
            raise TokenExpired from error
        except (JoseError, ValueError, TypeError, KeyError, OverflowError) as error:
            raise TokenRefused from error
        # Without the name of a key, which one is meant changes with the clock.
        if "kid" in decoded.header:
            key = self._verifying(decoded.header["kid"], now)
            self._keep(token, Verified(viewer, now, min(viewer.expires_at, key.expires_at or END)))
        return viewer

    def _keep(self, token: str, verified: Verified) -> None:
        self._verified[token] = verified
        while len(self._verified) > self._kept_max:
            self._verified.popitem(last=False)

    def is_over(self, viewer: Viewer) -> bool:
        """Whether the viewer's session was ended, or their token revoked, as far as this process knows."""
        return self.revocations.covers(viewer.session_id, viewer.token_id, issued_at=viewer.issued_at)

    def _signing(self, now: datetime) -> SigningKey:
        """Return the newest key that may sign; processes agree by the clock alone."""
        return max(
            (each for each in self._keys.values() if each.active_from <= now and each.is_known(now)),
            key=lambda each: each.active_from,
        )

    def _verifying(self, kid: object, now: datetime) -> SigningKey:
        found = self._keys.get(kid) if isinstance(kid, str) else self._signing(now)
        if found is None or not found.is_known(now):
            raise TokenRefused
        return found

    def _registry(self, now: datetime) -> jwt.JWTClaimsRegistry:
        return jwt.JWTClaimsRegistry(
            now=int(now.timestamp()),
            leeway=CLOCK_SKEW_S,
            iss={"essential": True, "value": self.issuer},
            aud={"essential": True, "value": self._audience},
            sub={"essential": True},
            exp={"essential": True},
            iat={"essential": True},
            client_id={"essential": True},
            scope={"essential": True},
        )


@lru_cache(maxsize=SCOPES_KNOWN_MAX)
def _scopes_of(text: str) -> frozenset[str]:
    """Return the scopes of a token; thousands of tokens that are kept have the same few sets."""
    return frozenset(text.split())


def _viewer_of(claims: dict[str, Any]) -> Viewer:
    return Viewer(
        user_id=UUID(claims["sub"]),
        client_id=sys.intern(str(claims["client_id"])),
        scopes=_scopes_of(str(claims["scope"])),
        expires_at=datetime.fromtimestamp(claims["exp"], UTC),
        issued_at=datetime.fromtimestamp(claims["iat"], UTC),
        session_id=UUID(claims["sid"]) if "sid" in claims else None,
        token_id=UUID(claims["jti"]) if "jti" in claims else None,
        vehicle_id=str(claims["vehicle"]) if "vehicle" in claims else None,
    )


def authority(settings: Settings) -> TokenAuthority:
    """Return the authority of this deployment, with its first key. Raises KeyMissing."""
    return TokenAuthority(
        key=token_key(settings),
        issuer=settings.issuer,
        audience=settings.token_audience,
        lifetime=timedelta(seconds=settings.token_lifetime_s),
        revocations=Revocations(kept_max=settings.revocations_kept_max),
        kept_max=settings.verified_tokens_kept_max,
    )
