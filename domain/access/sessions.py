"""Sessions: a device on which somebody is signed in, its refresh tokens, and how it ends.

A refresh token is good once. Where one is used a second time, it was stolen or the thief was the first, and nobody can
say which; so the whole session ends (RFC 9700, section 4.14.2).
"""

from __future__ import annotations

import functools
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from tortoise.queryset import QuerySet

from domain.access.policy import Policy
from domain.access.rules import OAuthRefusal, granted, hash_of, new_secret
from domain.identity.tokens import TokenAuthority
from domain.identity.viewer import Viewer
from domain.signins import records
from domain.signins.records import Origin
from kernel.access_states import SignInKind, SignInSignal
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.states import ClientKind, SessionEnd
from models.access import OAuthClient, OAuthSession, RefreshToken, TokenRevocation
from models.database import after_commit, transactional
from models.identity import StaffMember, User

REFRESH_PREFIX = "yrt"
REUSES = frozenset({SessionEnd.REFRESH_TOKEN_REUSED, SessionEnd.CODE_REUSED})


class GrantRefused(OAuthRefusal):
    """Unknown, used, expired, of another client or of an ended session: all the same to whoever tries."""

    code, error = "GRANT_REFUSED", "invalid_grant"
    messages = {"zh-CN": "授权凭证无效、已使用或已过期", "en": "The grant is invalid, used, expired or revoked"}


class SessionNotFound(YoukaError):
    """Also where it is somebody else's: the answer must not tell the two apart."""

    code = "NOT_FOUND"
    messages = {"zh-CN": "没有找到该设备", "en": "There is no such session"}


@dataclass(frozen=True, slots=True)
class Given:
    """What a token request is answered with (RFC 6749, section 5.1)."""

    access_token: str
    expires_in_s: int
    scopes: frozenset[str]
    refresh_token: str | None = None
    session_id: UUID | None = None


@transactional
async def begin(
    *,
    owner_id: UUID,
    client: OAuthClient,
    scopes: frozenset[str],
    device_name: str,
    tokens: TokenAuthority,
    policy: Policy,
    now: datetime,
    origin: Origin | None = None,
    signals: Collection[SignInSignal] = (),
    vehicle_id: str | None = None,
) -> Given:
    """Sign somebody in on a device; where they have too many, the one that was longest unseen ends.

    The audit gets its line here, but for an `origin` of None, where the sign-in was written down before.

    Raises GrantRefused where the owner is not there any more.
    """
    # Sign-ins of one owner happen one after another, so that the limit counts all of them.
    if await _owners(client, owner_id).select_for_update().first() is None:
        raise GrantRefused
    await _make_room(owner_id, tokens, policy, now)
    lifetime = policy.staff_session_lifetime if client.kind is ClientKind.STAFF else policy.session_lifetime
    session = await OAuthSession.create(
        id=new_id(),
        owner_id=owner_id,
        client_id=client.client_id,
        device_name=device_name,
        vehicle_id=vehicle_id,
        scopes=sorted(scopes),
        created_at=now,
        last_seen_at=now,
        expires_at=now + lifetime,
    )
    _, refresh_token = await _next_token(session, policy, now)
    if origin is not None:
        kind, session_id = SignInKind.SIGNED_IN, session.id
        await records.write(
            kind=kind, origin=origin, owner_id=owner_id, signals=signals, session_id=session_id, now=now
        )
    return _given(session, scopes, refresh_token, tokens, now)


async def refresh(
    *,
    client: OAuthClient,
    refresh_token: str,
    scope: str | None,
    tokens: TokenAuthority,
    policy: Policy,
    now: datetime,
    origin: Origin | None = None,
) -> Given:
    """Exchange a refresh token for the next one and an access token, with fewer scopes where `scope` names fewer.

    Raises GrantRefused, also where the token was used before; then the session has ended. Raises ScopeRefused.
    """
    given = await _rotate(client, hash_of(refresh_token), scope, tokens, policy, origin, now)
    if given is None:
        raise GrantRefused
    return given


@transactional
async def _rotate(
    client: OAuthClient,
    token_hash: str,
    scope: str | None,
    tokens: TokenAuthority,
    policy: Policy,
    origin: Origin | None,
    now: datetime,
) -> Given | None:
    """Return None for a refusal, since what it has changed is to be kept."""
    row = await RefreshToken.get_or_none(token_hash=token_hash)
    session = await OAuthSession.select_for_update().get(id=row.session_id) if row else None
    if row is None or session is None or session.client_id != client.client_id:
        return None
    if session.ended_at is not None or session.expires_at <= now:
        return None
    scopes = granted(scope, allowed=session.scopes, usual=session.scopes)
    if await RefreshToken.filter(id=row.id, used_at__isnull=True).update(used_at=now) != 1:
        await _end(session, SessionEnd.REFRESH_TOKEN_REUSED, tokens, now, origin)
        return None
    # The owner is not locked here: a sign-in locks the owner first and may then end this very session.
    if not await _owners(client, session.owner_id).exists():
        await _end(session, SessionEnd.OWNER_GONE, tokens, now, origin)
        return None
    if row.expires_at <= now:
        return None
    next_id, refresh_token = await _next_token(session, policy, now)
    await RefreshToken.filter(id=row.id).update(replaced_by=next_id)
    session.last_seen_at = now
    await session.save(update_fields=["last_seen_at"])
    return _given(session, scopes, refresh_token, tokens, now)


async def of_viewer(*, viewer: Viewer, first: int, after: UUID | None, now: datetime) -> list[OAuthSession]:
    """Return a page of the devices on which the viewer is signed in, newest first."""
    found = OAuthSession.filter(owner_id=viewer.user_id, ended_at__isnull=True, expires_at__gt=now)
    if after:
        found = found.filter(id__lt=after)
    return await found.order_by("-id").limit(first)


async def owned(*, viewer: Viewer, session_id: UUID, now: datetime) -> OAuthSession | None:
    """Return one of the devices on which the viewer is signed in."""
    return await OAuthSession.get_or_none(
        id=session_id, owner_id=viewer.user_id, ended_at__isnull=True, expires_at__gt=now
    )


@transactional
async def end(
    *, viewer: Viewer, session_id: UUID | None, tokens: TokenAuthority, now: datetime, origin: Origin | None = None
) -> OAuthSession:
    """Sign one of the viewer's devices out. Raises SessionNotFound."""
    found = OAuthSession.select_for_update().filter(id=session_id, owner_id=viewer.user_id) if session_id else None
    session = await found.first() if found else None
    if session is None or session.ended_at is not None:
        raise SessionNotFound
    await _end(session, SessionEnd.ENDED_BY_OWNER, tokens, now, origin)
    return session


@transactional
async def end_all(
    *, viewer: Viewer, keep_current: bool, tokens: TokenAuthority, now: datetime, origin: Origin | None = None
) -> int:
    """Sign the viewer out everywhere, or everywhere else, and return of how many devices."""
    live = await OAuthSession.select_for_update().filter(owner_id=viewer.user_id, ended_at__isnull=True).order_by("id")
    ending = [session for session in live if not (keep_current and session.id == viewer.session_id)]
    for session in ending:
        await _end(session, SessionEnd.ENDED_BY_OWNER, tokens, now, origin)
    return len(ending)


@transactional
async def end_those(*, reason: SessionEnd, tokens: TokenAuthority, now: datetime, **of: object) -> int:
    """End every live session of an owner or a client, such as of one that was disabled; return how many."""
    live = await OAuthSession.select_for_update().filter(ended_at__isnull=True, **of).order_by("id")
    for session in live:
        await _end(session, reason, tokens, now)
    return len(live)


@transactional
async def revoke_refresh_token(
    *, client: OAuthClient, refresh_token: str, tokens: TokenAuthority, now: datetime, origin: Origin | None = None
) -> bool:
    """End the session of a refresh token (RFC 7009), and return whether the token was known.

    Raises GrantRefused where it is another client's.
    """
    row = await RefreshToken.get_or_none(token_hash=hash_of(refresh_token))
    if row is None:
        return False
    session = await OAuthSession.select_for_update().get(id=row.session_id)
    if session.client_id != client.client_id:
        raise GrantRefused
    if session.ended_at is None:
        await _end(session, SessionEnd.SIGNED_OUT, tokens, now, origin)
    return True


@transactional
async def revoke_access_token(
    *, client: OAuthClient, viewer: Viewer, tokens: TokenAuthority, now: datetime, origin: Origin | None = None
) -> None:
    """End the session of an access token, or the token alone where it has none. Raises GrantRefused."""
    if viewer.client_id != client.client_id:
        raise GrantRefused
    session = await OAuthSession.select_for_update().get_or_none(id=viewer.session_id) if viewer.session_id else None
    if session is not None and session.ended_at is None:
        await _end(session, SessionEnd.SIGNED_OUT, tokens, now, origin)
    elif session is None and viewer.token_id:
        await _revoke(viewer.token_id, tokens, now)


@transactional
async def end_by_code_reuse(*, session_id: UUID, tokens: TokenAuthority, now: datetime) -> None:
    """End what an authorization code was exchanged for, since it came a second time (RFC 6749, section 4.1.2)."""
    session = await OAuthSession.select_for_update().get(id=session_id)
    if session.ended_at is None:
        await _end(session, SessionEnd.CODE_REUSED, tokens, now)


async def revocations_since(moment: datetime, *, now: datetime) -> list[TokenRevocation]:
    """Return what has been revoked since then and still matters."""
    return await TokenRevocation.filter(created_at__gt=moment, expires_at__gt=now)


async def _end(
    session: OAuthSession, reason: SessionEnd, tokens: TokenAuthority, now: datetime, origin: Origin | None = None
) -> None:
    session.ended_at, session.end_reason = now, reason
    await session.save(update_fields=["ended_at", "end_reason"])
    where = origin or Origin(session.client_id, "")
    await records.write(
        kind=SignInKind.TOKEN_REUSED if reason in REUSES else SignInKind.SIGNED_OUT,
        origin=replace(where, client_id=session.client_id, device_name=session.device_name),
        owner_id=session.owner_id,
        reason=reason.value,
        session_id=session.id,
        now=now,
    )
    await _revoke(session.id, tokens, now)


async def _revoke(id: UUID, tokens: TokenAuthority, now: datetime) -> None:
    until = now + tokens.lifetime_with_skew
    row = TokenRevocation(id=id, created_at=now, expires_at=until)
    await TokenRevocation.bulk_create([row], ignore_conflicts=True)
    after_commit(functools.partial(tokens.revocations.add, id, until=until, now=now))


def _owners(client: OAuthClient, owner_id: UUID) -> QuerySet[User] | QuerySet[StaffMember]:
    """Return the query of the one owner: a member of staff who has not left, or anybody else's account."""
    if client.kind is ClientKind.STAFF:
        return StaffMember.filter(id=owner_id, left_at__isnull=True)
    return User.filter(id=owner_id)


async def _make_room(owner_id: UUID, tokens: TokenAuthority, policy: Policy, now: datetime) -> None:
    live = await OAuthSession.filter(owner_id=owner_id, ended_at__isnull=True).order_by("-last_seen_at", "-id")
    excess: Iterable[OAuthSession] = live[policy.sessions_per_user_max - 1 :]
    for session in excess:
        await _end(session, SessionEnd.TOO_MANY, tokens, now)


async def _next_token(session: OAuthSession, policy: Policy, now: datetime) -> tuple[UUID, str]:
    text = new_secret(REFRESH_PREFIX)
    row = await RefreshToken.create(
        id=new_id(),
        session_id=session.id,
        token_hash=hash_of(text),
        issued_at=now,
        expires_at=min(now + policy.refresh_lifetime, session.expires_at),
    )
    return row.id, text


def _given(
    session: OAuthSession, scopes: frozenset[str], refresh_token: str, tokens: TokenAuthority, now: datetime
) -> Given:
    bound = {"vehicle": session.vehicle_id} if session.vehicle_id else {}
    access_token = tokens.issue(
        user_id=session.owner_id,
        client_id=session.client_id,
        scopes=scopes,
        now=now,
        session_id=session.id,
        **bound,
    )
    return Given(access_token, tokens.lifetime_s, scopes, refresh_token, session.id)
