"""Cars that are approved in the mini-program (RFC 8628). A code's token is given out once, by compare-and-set."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime

from tortoise.exceptions import IntegrityError

from domain.access import attempts, entering, sessions
from domain.access.clients import display_names, require_grant, scopes_for
from domain.access.policy import Policy
from domain.access.rules import (
    DEVICE_GRANT,
    DEVICE_NAME_LENGTH_MAX,
    VEHICLE_ID,
    OAuthRefusal,
    hash_of,
    new_secret,
    new_user_code,
    read_user_code,
)
from domain.access.sessions import Given, GrantRefused
from domain.identity.scopes import Scope
from domain.identity.tokens import TokenAuthority
from domain.identity.viewer import Viewer
from domain.signins.records import Origin
from kernel.access_states import SignInSignal
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.states import DeviceCodeState
from models.access import DeviceCode, OAuthClient
from models.database import transactional

DEVICE_PREFIX = "ydc"
# Two live codes of twenty billion are rarely the same, and four times in a row never.
USER_CODE_DRAWS_MAX = 4
SLOWER_BY_S = 5
# Whoever lets a car recharge must be allowed to recharge.
APPROVING_SCOPE = Scope.RECHARGE


class DeviceRequestInvalid(OAuthRefusal):
    code = "DEVICE_REQUEST_INVALID"
    messages = {
        "zh-CN": "请提供vehicle_id（6至32位字母、数字或连字符）",
        "en": "Send vehicle_id: 6 to 32 letters, digits or hyphens; device_name may have 64 characters",
    }


class AuthorizationPending(OAuthRefusal):
    code, error = "AUTHORIZATION_PENDING", "authorization_pending"
    messages = {"zh-CN": "等待用户确认", "en": "Nobody has approved the device yet"}


class SlowDown(OAuthRefusal):
    code, error = "SLOW_DOWN", "slow_down"
    messages = {"zh-CN": "轮询过于频繁", "en": "Wait five seconds longer between two requests"}


class DeviceDenied(OAuthRefusal):
    code, error = "DEVICE_DENIED", "access_denied"
    messages = {"zh-CN": "用户已拒绝", "en": "The user has denied the device"}


class DeviceCodeExpired(OAuthRefusal):
    code, error = "DEVICE_CODE_EXPIRED", "expired_token"
    messages = {"zh-CN": "设备码已过期", "en": "The device code has expired, ask for another one"}


class UserCodeUnknown(YoukaError):
    """Also where it is expired or decided already: whoever guesses learns nothing."""

    code = "USER_CODE_UNKNOWN"
    messages = {"zh-CN": "设备码无效或已过期", "en": "There is no device that waits with this code"}


class ApprovalForbidden(YoukaError):
    code = "FORBIDDEN"
    messages = {"zh-CN": "没有权限授权设备", "en": "You may not approve devices"}


def read_name(text: str | None, *, otherwise: str) -> str:
    """Return how a device calls itself in the list of sessions. Raises DeviceRequestInvalid."""
    name = (text or otherwise).strip()
    if not 0 < len(name) <= DEVICE_NAME_LENGTH_MAX or not name.isprintable():
        raise DeviceRequestInvalid
    return name


@dataclass(frozen=True, slots=True)
class Asked:
    """A device that waits: the row, and the code that only the device is told."""

    row: DeviceCode
    device_code: str


@dataclass(frozen=True, slots=True)
class Waiting:
    """A device as its user is asked about it."""

    row: DeviceCode
    client_name: str


async def ask(
    *,
    client: OAuthClient,
    scope: str | None,
    vehicle_id: str | None,
    device_name: str | None,
    policy: Policy,
    now: datetime,
) -> Asked:
    """Let a device wait for its approval. Raises GrantNotAllowed, ScopeRefused or DeviceRequestInvalid."""
    require_grant(client, DEVICE_GRANT)
    scopes = scopes_for(client, scope)
    name = read_name(device_name, otherwise=client.name)
    if vehicle_id is None or not VEHICLE_ID.fullmatch(vehicle_id):
        raise DeviceRequestInvalid
    device_code = new_secret(DEVICE_PREFIX)
    for draw in range(USER_CODE_DRAWS_MAX):
        row = DeviceCode(
            id=new_id(),
            code_hash=hash_of(device_code),
            user_code=new_user_code(),
            client_id=client.client_id,
            scopes=sorted(scopes),
            device_name=name,
            vehicle_id=vehicle_id,
            state=DeviceCodeState.PENDING,
            interval_s=policy.device_poll_interval_s,
            created_at=now,
            expires_at=now + policy.device_code_lifetime,
        )
        try:
            await row.save(force_create=True)
            break
        except IntegrityError:
            if draw == USER_CODE_DRAWS_MAX - 1:
                raise
    return Asked(row, device_code)


async def claim(
    *,
    client: OAuthClient,
    device_code: str,
    origin: Origin,
    tokens: TokenAuthority,
    policy: Policy,
    now: datetime,
) -> Given:
    """Return the tokens of an approved device, once; of polls beside each other one gets them.

    Its user has vouched for the device by approving it, so it is never a new one; from another end of the country it is
    denied all the same. Raises AuthorizationPending, SlowDown, DeviceDenied, DeviceCodeExpired, GrantNotAllowed,
    GrantRefused, SignInUnusual or SignInLocked.
    """
    require_grant(client, DEVICE_GRANT)
    row = await DeviceCode.get_or_none(code_hash=hash_of(device_code), client_id=client.client_id)
    if row is None or row.state is DeviceCodeState.CLAIMED:
        raise GrantRefused
    if row.state is DeviceCodeState.DENIED:
        raise DeviceDenied
    if row.expires_at <= now:
        raise DeviceCodeExpired
    if row.state is DeviceCodeState.PENDING:
        await _note_poll(row, now)
        raise AuthorizationPending
    assert row.owner_id is not None, "somebody has approved it"
    where = replace(origin, device_name=row.device_name, device_digest=hash_of(f"vehicle:{row.vehicle_id}"))
    try:
        signals = await entering.require_usual(
            owner_id=row.owner_id, origin=where, policy=policy, now=now, vouched_for=True
        )
    except entering.SignInUnusual:
        await DeviceCode.filter(id=row.id, state=DeviceCodeState.APPROVED).update(state=DeviceCodeState.DENIED)
        raise
    return await _claimed(row, client, where, signals, tokens, policy, now)


async def _note_poll(row: DeviceCode, now: datetime) -> None:
    """Raises SlowDown where the device asks too often; it then has to wait longer from now on (section 3.5)."""
    too_soon = row.polled_at is not None and (now - row.polled_at).total_seconds() < row.interval_s
    interval_s = row.interval_s + SLOWER_BY_S if too_soon else row.interval_s
    await DeviceCode.filter(id=row.id).update(polled_at=now, interval_s=interval_s)
    if too_soon:
        raise SlowDown


@transactional
async def _claimed(
    row: DeviceCode,
    client: OAuthClient,
    origin: Origin,
    signals: frozenset[SignInSignal],
    tokens: TokenAuthority,
    policy: Policy,
    now: datetime,
) -> Given:
    taken = await DeviceCode.filter(id=row.id, state=DeviceCodeState.APPROVED).update(state=DeviceCodeState.CLAIMED)
    if taken != 1:
        raise GrantRefused
    assert row.owner_id is not None, "somebody has approved it"
    return await sessions.begin(
        owner_id=row.owner_id,
        client=client,
        scopes=frozenset(row.scopes),
        device_name=row.device_name,
        vehicle_id=row.vehicle_id,
        tokens=tokens,
        policy=policy,
        now=now,
        origin=origin,
        signals=signals,
    )


async def look(*, viewer: Viewer, user_code: str, policy: Policy, now: datetime) -> Waiting:
    """Return the device that shows the code, for its user to decide about. Wrong codes count.

    Raises ApprovalForbidden, TooManyAttempts or UserCodeUnknown.
    """
    row = await _found(viewer, user_code, policy, now)
    (name,) = await display_names([row.client_id])
    return Waiting(row, name)


async def approve(*, viewer: Viewer, user_code: str, policy: Policy, now: datetime) -> Waiting:
    """Let the device act for the viewer. Raises ApprovalForbidden, TooManyAttempts or UserCodeUnknown."""
    return await _decide(viewer, user_code, DeviceCodeState.APPROVED, policy, now)


async def deny(*, viewer: Viewer, user_code: str, policy: Policy, now: datetime) -> Waiting:
    """Turn the device away. Raises ApprovalForbidden, TooManyAttempts or UserCodeUnknown."""
    return await _decide(viewer, user_code, DeviceCodeState.DENIED, policy, now)


async def _decide(viewer: Viewer, user_code: str, state: DeviceCodeState, policy: Policy, now: datetime) -> Waiting:
    waiting = await look(viewer=viewer, user_code=user_code, policy=policy, now=now)
    pending = DeviceCode.filter(id=waiting.row.id, state=DeviceCodeState.PENDING, expires_at__gt=now)
    if await pending.update(state=state, owner_id=viewer.user_id) != 1:
        raise UserCodeUnknown
    return waiting


async def _found(viewer: Viewer, user_code: str, policy: Policy, now: datetime) -> DeviceCode:
    if APPROVING_SCOPE not in viewer.scopes:
        raise ApprovalForbidden
    attempt = await attempts.begin(subject=f"user-code:{viewer.user_id}", limit=policy.user_code_attempts, now=now)
    code = read_user_code(user_code)
    pending = DeviceCode.filter(user_code=code, state=DeviceCodeState.PENDING, expires_at__gt=now) if code else None
    row = await pending.first() if pending else None
    if row is None:
        raise UserCodeUnknown
    await attempts.succeeded(attempt)
    return row
