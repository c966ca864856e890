"""Which program may have what: grants and scopes by kind, redirect URIs, and the forms of codes and secrets."""

from __future__ import annotations

import hashlib
import re
import secrets
from collections.abc import Collection
from typing import ClassVar
from urllib.parse import urlsplit

from domain.identity.scopes import Scope
from kernel.errors import YoukaError
from kernel.states import ClientKind

MINI_PROGRAM_GRANT = "urn:youka:oauth:grant-type:mini-program"
DEVICE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
CHALLENGE_GRANT = "urn:youka:oauth:grant-type:sign-in-challenge"
CLIENT_GRANT = "client_credentials"
CODE_GRANT = "authorization_code"
REFRESH_GRANT = "refresh_token"

GRANTS = {
    ClientKind.MINI_PROGRAM: frozenset({MINI_PROGRAM_GRANT, CHALLENGE_GRANT, REFRESH_GRANT}),
    ClientKind.CAR: frozenset({DEVICE_GRANT, REFRESH_GRANT}),
    ClientKind.PARTNER: frozenset({CLIENT_GRANT}),
    ClientKind.STAFF: frozenset({CODE_GRANT, REFRESH_GRANT}),
}
# A public client cannot keep a secret, so it names itself only; what it sends besides is what counts.
PUBLIC_KINDS = frozenset({ClientKind.MINI_PROGRAM, ClientKind.CAR, ClientKind.STAFF})

USUAL_SCOPES: dict[ClientKind, frozenset[str]] = {
    ClientKind.MINI_PROGRAM: frozenset({Scope.PROFILE, Scope.CARDS, Scope.RECHARGE}),
    ClientKind.CAR: frozenset({Scope.RECHARGE_VOICE}),
    ClientKind.STAFF: frozenset({Scope.STAFF}),
}
# What a client of each kind can be allowed at all; what is not usual is given to who asks for it.
POSSIBLE_SCOPES: dict[ClientKind, frozenset[str]] = {
    ClientKind.MINI_PROGRAM: frozenset({Scope.PROFILE, Scope.CARDS, Scope.RECHARGE, Scope.WEBHOOKS}),
    ClientKind.CAR: frozenset({Scope.RECHARGE_VOICE}),
    ClientKind.PARTNER: frozenset({Scope.PROFILE, Scope.CARDS, Scope.RECHARGE, Scope.WEBHOOKS}),
    ClientKind.STAFF: frozenset({Scope.STAFF, Scope.WEBHOOKS}),
}
# The letters and digits of which none is taken for another, and which spell no word (RFC 8628, section 6.1).
USER_CODE_LETTERS = "BCDFGHJKLMNPQRSTVWXZ"
USER_CODE_LENGTH = 8
USER_CODE_SEPARATORS = re.compile(r"[\s\-]+")
SECRET_BYTES = 32
VEHICLE_ID = re.compile(r"[A-Za-z0-9\-]{6,32}", re.ASCII)
DEVICE_NAME_LENGTH_MAX = 64
REDIRECT_URI_LENGTH_MAX = 512
LOOPBACK = frozenset({"127.0.0.1", "[::1]"})


class OAuthRefusal(YoukaError):
    """A refusal that goes to a program: `error` is its name in RFC 6749 or the RFC of the grant."""

    error: ClassVar[str] = "invalid_request"
    status: ClassVar[int] = 400


class ScopeRefused(OAuthRefusal):
    code, error = "SCOPE_REFUSED", "invalid_scope"
    messages = {"zh-CN": "请求的权限范围无效", "en": "The scope is unknown, malformed or not for this client"}


def granted(asked: str | None, *, allowed: Collection[str], usual: Collection[str]) -> frozenset[str]:
    """Return the scopes that are asked for (RFC 6749, section 3.3), the usual ones where none is. Raises ScopeRefused.

    What is usual but not allowed this client is left out; what is asked for and not allowed is refused.
    """
    if asked is None:
        return frozenset(usual) & frozenset(allowed)
    scopes = frozenset(asked.split())
    if not scopes or not scopes <= frozenset(allowed):
        raise ScopeRefused
    return scopes


def new_secret(prefix: str) -> str:
    """Return 256 random bits as text; the prefix lets a scanner of leaked secrets know it."""
    return f"{prefix}_{secrets.token_urlsafe(SECRET_BYTES)}"


def hash_of(secret: str) -> str:
    """Return the digest under which a secret of 256 random bits is kept; nothing so long is guessed from it."""
    return hashlib.sha256(secret.encode()).hexdigest()


def new_user_code() -> str:
    return "".join(secrets.choice(USER_CODE_LETTERS) for _ in range(USER_CODE_LENGTH))


def shown(user_code: str) -> str:
    """Return a user code as people are shown it: WDJB-MJHT."""
    half = USER_CODE_LENGTH // 2
    return f"{user_code[:half]}-{user_code[half:]}"


def read_user_code(text: str) -> str | None:
    """Return the code as it is kept, however it was typed; None where it cannot be one."""
    if len(text) > 4 * USER_CODE_LENGTH:
        return None
    code = USER_CODE_SEPARATORS.sub("", text).upper()
    return code if len(code) == USER_CODE_LENGTH and set(code) <= set(USER_CODE_LETTERS) else None


def redirects_to(uri: str, registered: Collection[str]) -> bool:
    """Whether a client may be sent to the URI: exactly one of its own, or a loopback one on any port (RFC 8252)."""
    if len(uri) > REDIRECT_URI_LENGTH_MAX:
        return False
    if uri in registered:
        return True
    return any(_loopback(uri) is not None and _loopback(uri) == _loopback(each) for each in registered)


def _loopback(uri: str) -> tuple[str, str] | None:
    """Return host and path of a plain loopback URI, None for any other."""
    parts = urlsplit(uri)
    host = parts.netloc.rsplit(":", 1)[0] if not parts.netloc.endswith("]") else parts.netloc
    plain = parts.scheme == "http" and not parts.query and not parts.fragment and "@" not in parts.netloc
    return (host, parts.path) if plain and host in LOOPBACK else None
