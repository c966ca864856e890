"""How staff sign in: a password and a one-time password at our page, then a code that their client exchanges.

RFC 6749, section 4.1, with PKCE (RFC 7636). The code is good once; its second use ends what the first has opened.
"""

from __future__ import annotations

import hmac
import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.access import attempts, entering, passwords, sessions, totp
from domain.access.clients import require_grant, scopes_for
from domain.access.policy import Policy
from domain.access.rules import CODE_GRANT, OAuthRefusal, hash_of, new_secret, redirects_to
from domain.access.sessions import Given, GrantRefused
from domain.identity import staff
from domain.identity.tokens import TokenAuthority
from domain.signins import locks, records
from domain.signins.locks import Subject
from domain.signins.records import Origin
from kernel.access_states import SignInKind, SignInSignal
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.sealing import Sealer
from models.access import AuthorizationCode, OAuthClient, StaffCredential
from models.database import transactional

CODE_PREFIX = "yac"
# RFC 7636, sections 4.1 and 4.2.
VERIFIER = re.compile(r"[A-Za-z0-9\-._~]{43,128}", re.ASCII)
CHALLENGE = re.compile(r"[A-Za-z0-9\-_]{43}", re.ASCII)
METHOD = "S256"
NAME_LENGTH_MAX = 64


class SignInRefused(YoukaError):
    """The name, the password or the code is wrong; whoever guesses is not told which."""

    code = "SIGN_IN_REFUSED"
    messages = {"zh-CN": "姓名、密码或动态码有误", "en": "The name, the password or the code is wrong"}


class StaffUnknown(YoukaError):
    code = "STAFF_UNKNOWN"
    messages = {"zh-CN": "没有该员工", "en": "Nobody of this name works here"}


class RedirectRefused(OAuthRefusal):
    """Nobody may be sent there, not even with an error (RFC 6749, section 4.1.2.1)."""

    code = "REDIRECT_REFUSED"
    messages = {"zh-CN": "redirect_uri未登记", "en": "The redirect_uri is not one of the client's"}


class ResponseTypeRefused(OAuthRefusal):
    code, error = "RESPONSE_TYPE_REFUSED", "unsupported_response_type"
    messages = {"zh-CN": "只支持response_type=code", "en": "Only response_type=code is supported"}


class ChallengeMissing(OAuthRefusal):
    code = "CHALLENGE_MISSING"
    messages = {"zh-CN": "须提供S256的code_challenge", "en": "Send a code_challenge with code_challenge_method=S256"}


@dataclass(frozen=True, slots=True)
class Wanted:
    """An authorization request that was found good."""

    client_id: str
    redirect_uri: str
    scopes: frozenset[str]
    challenge: str
    state: str


@dataclass(frozen=True, slots=True)
class Enrolled:
    """What a member of staff is told once."""

    password: str
    totp_uri: str


def check_redirect(client: OAuthClient, redirect_uri: str | None) -> str:
    """Return the URI where it is one of the client's. Raises RedirectRefused."""
    if redirect_uri is None or not redirects_to(redirect_uri, client.redirect_uris):
        raise RedirectRefused
    return redirect_uri


def want(
    client: OAuthClient,
    *,
    redirect_uri: str,
    response_type: str | None,
    scope: str | None,
    challenge: str | None,
    method: str | None,
    state: str,
) -> Wanted:
    """Return what is asked for. Raises GrantNotAllowed, ResponseTypeRefused, ScopeRefused or ChallengeMissing."""
    require_grant(client, CODE_GRANT)
    if response_type != "code":
        raise ResponseTypeRefused
    scopes = scopes_for(client, scope)
    if method != METHOD or challenge is None or not CHALLENGE.fullmatch(challenge):
        raise ChallengeMissing
    return Wanted(client.client_id, redirect_uri, scopes, challenge, state)


async def enrol(*, name: str, sealer: Sealer, now: datetime) -> Enrolled:
    """Give a member of staff a new password and a new second factor instead of older ones. Raises StaffUnknown."""
    member = await staff.by_name(name)
    if member is None:
        raise StaffUnknown
    password, secret = passwords.made(), totp.new_secret()
    values: dict[str, Any] = {
        "password_hash": await passwords.hashed(password),
        "totp_sealed": sealer.seal(secret, owner=f"totp:{member.id}"),
        "totp_step": 0,
        "changed_at": now,
    }
    if not await StaffCredential.filter(staff_id=member.id).update(**values):
        await StaffCredential.create(id=new_id(), staff_id=member.id, **values)
    return Enrolled(password, totp.uri(secret, name=name))


async def sign_in(
    *,
    wanted: Wanted,
    name: str,
    password: str,
    code: str,
    origin: Origin,
    sealer: Sealer,
    policy: Policy,
    now: datetime,
) -> str:
    """Return an authorization code for a member of staff who has proved who they are.

    No code by SMS comes behind two factors; what is unusual is written down, and refused where it is too much. Raises
    SignInRefused, TooManyAttempts where the name was tried too often, right or wrong, SignInUnusual or SignInLocked.
    """
    address = Subject.of_address(origin, policy.sign_ins)
    await locks.require_open(address, now=now)
    attempt = await attempts.begin(subject=f"staff:{hash_of(name)}", limit=policy.staff_attempts, now=now)
    member = await staff.by_name(name) if len(name) <= NAME_LENGTH_MAX else None
    if member is not None:
        await locks.require_open(Subject.of_owner(member.id, policy.sign_ins), now=now)
    credential = await _proved(member.id if member else None, password, code, sealer, now)
    if credential is None:
        owner_id = member.id if member else None
        subjects = [address, *([Subject.of_owner(owner_id, policy.sign_ins)] if owner_id else [])]
        reason = SignInRefused.code
        await locks.failed(*subjects, origin=origin, reason=reason, policy=policy.sign_ins, now=now, owner_id=owner_id)
        raise SignInRefused
    await attempts.succeeded(attempt)
    signals = await entering.require_usual(owner_id=credential.staff_id, origin=origin, policy=policy, now=now)
    return await _write_code(wanted, credential, origin, signals, policy, now)


async def _proved(
    staff_id: UUID | None, password: str, code: str, sealer: Sealer, now: datetime
) -> StaffCredential | None:
    """Return the credential of who has given both factors, None where either is wrong; nobody's takes as long."""
    credential = await StaffCredential.get_or_none(staff_id=staff_id) if staff_id else None
    digest = credential.password_hash if credential else None
    if not await passwords.is_right(password[: passwords.PASSWORD_LENGTH_MAX + 1], digest):
        return None
    assert credential is not None, "nobody's password is right"
    secret = sealer.open(bytes(credential.totp_sealed), owner=f"totp:{credential.staff_id}")
    step = totp.matching_step(secret, code, after=credential.totp_step, now=now)
    # A code that was seen over a shoulder is worth nothing once it was used.
    unused = StaffCredential.filter(id=credential.id, totp_step__lt=step) if step is not None else None
    return credential if unused is not None and await unused.update(totp_step=step) == 1 else None


@transactional
async def _write_code(
    wanted: Wanted,
    credential: StaffCredential,
    origin: Origin,
    signals: frozenset[SignInSignal],
    policy: Policy,
    now: datetime,
) -> str:
    text = new_secret(CODE_PREFIX)
    await AuthorizationCode.create(
        id=new_id(),
        code_hash=hash_of(text),
        staff_id=credential.staff_id,
        client_id=wanted.client_id,
        redirect_uri=wanted.redirect_uri,
        scopes=sorted(wanted.scopes),
        challenge=wanted.challenge,
        created_at=now,
        expires_at=now + policy.code_lifetime,
    )
    owner_id = credential.staff_id
    await records.write(kind=SignInKind.SIGNED_IN, origin=origin, owner_id=owner_id, signals=signals, now=now)
    await locks.forgive(Subject.of_owner(owner_id, policy.sign_ins))
    return text


async def exchange(
    *,
    client: OAuthClient,
    code: str,
    redirect_uri: str | None,
    verifier: str | None,
    tokens: TokenAuthority,
    policy: Policy,
    now: datetime,
) -> Given:
    """Return the tokens for an authorization code. Raises GrantNotAllowed, or GrantRefused for a code that is unknown,
    expired, another client's or used, and then ends what it has opened."""
    require_grant(client, CODE_GRANT)
    row = await AuthorizationCode.get_or_none(code_hash=hash_of(code), client_id=client.client_id)
    if row is None:
        raise GrantRefused
    if row.used_at is not None:
        if row.session_id:
            await sessions.end_by_code_reuse(session_id=row.session_id, tokens=tokens, now=now)
        raise GrantRefused
    fits = row.expires_at > now and row.redirect_uri == redirect_uri and _proves(verifier, row.challenge)
    given = await _used(row, client, tokens, policy, now) if fits else None
    if given is None:
        raise GrantRefused
    return given


@transactional
async def _used(
    row: AuthorizationCode, client: OAuthClient, tokens: TokenAuthority, policy: Policy, now: datetime
) -> Given | None:
    if await AuthorizationCode.filter(id=row.id, used_at__isnull=True).update(used_at=now) != 1:
        return None
    given = await sessions.begin(
        owner_id=row.staff_id,
        client=client,
        scopes=frozenset(row.scopes),
        device_name=client.name,
        tokens=tokens,
        policy=policy,
        now=now,
    )
    await AuthorizationCode.filter(id=row.id).update(session_id=given.session_id)
    return given


def _proves(verifier: str | None, challenge: str) -> bool:
    if verifier is None or not VERIFIER.fullmatch(verifier):
        return False
    # It brings the rest of an OAuth server along, which only staff who sign in make use of.
    from authlib.oauth2.rfc7636 import create_s256_code_challenge  # noqa: PLC0415 -- see above.

    return hmac.compare_digest(str(create_s256_code_challenge(verifier)), challenge)
