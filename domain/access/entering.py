"""What stands around a sign-in whose proof was right: let in, asked for a code by SMS first, or kept out."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.access import sessions
from domain.access.policy import Policy
from domain.access.rules import OAuthRefusal, hash_of, new_secret
from domain.access.sessions import Given, GrantRefused
from domain.identity import codes
from domain.identity.phones import open_phone
from domain.identity.ports import SmsSender
from domain.identity.tokens import TokenAuthority
from domain.identity.viewer import Viewer
from domain.signins import locks, records
from domain.signins.locks import SignInLocked, Subject
from domain.signins.records import Origin
from domain.signins.rules import Asking, Verdict, signals_of, verdict
from kernel.access_states import SignInKind, SignInSignal
from kernel.ids import new_id
from kernel.sealing import Sealer
from kernel.states import CodePurpose
from models.access import OAuthClient
from models.database import transactional
from models.messages import UserPhone
from models.sign_ins import SignInChallenge

CHALLENGE_PREFIX = "ysi"


class SignInUnusual(OAuthRefusal):
    """The proof was right, and what stands around it is not; what exactly is in the audit alone."""

    code, error = "SIGN_IN_UNUSUAL", "access_denied"
    messages = {
        "zh-CN": "本次登录存在风险，已被拒绝，请联系客服",
        "en": "This sign-in is unusual and was refused; please ask the customer service",
    }


@dataclass(frozen=True, slots=True)
class Challenged:
    """What the client goes on with. `phone` is masked."""

    auth_session: str
    phone: str
    expires_in_s: int


class ChallengeNeeded(OAuthRefusal):
    """A code was sent to the user's phone; the client goes on with it and `auth_session`.

    `draft-ietf-oauth-first-party-apps` has the words. They stand beside the values, which may be logged.
    """

    code, error = "SIGN_IN_CHALLENGED", "insufficient_authorization"
    messages = {
        "zh-CN": "请输入发送至您手机的验证码以完成登录",
        "en": "A code was sent to the user's phone; send it with auth_session to finish",
    }

    def __init__(self, challenged: Challenged | None = None) -> None:
        super().__init__()
        self.challenged = challenged


@dataclass(frozen=True, slots=True)
class Door:
    """What letting somebody in takes beside the database; without a sender nobody can be asked for a code."""

    tokens: TokenAuthority
    sealer: Sealer
    policy: Policy
    sms: SmsSender | None = None


@dataclass(frozen=True, slots=True)
class Assessed:
    """What is unusual, and how often the same person has failed just before."""

    signals: frozenset[SignInSignal]
    failures: int


async def assess(
    *, owner_id: UUID, origin: Origin, policy: Policy, now: datetime, vouched_for: bool = False
) -> Assessed:
    """Look at what stands around a sign-in. Raises SignInLocked, which the audit has then, too."""
    try:
        failures = await locks.recent_failures(
            Subject.of_owner(owner_id, policy.sign_ins), policy=policy.sign_ins, now=now
        )
    except SignInLocked as error:
        await records.write(kind=SignInKind.REFUSED, origin=origin, owner_id=owner_id, reason=error.code, now=now)
        raise
    asking = Asking(now, origin.device_digest, origin.place, failures, vouched_for)
    signals = signals_of(asking, await records.past_of(owner_id), policy.sign_ins.unusual)
    return Assessed(signals, failures)


async def require_usual(
    *, owner_id: UUID, origin: Origin, policy: Policy, now: datetime, vouched_for: bool = False
) -> frozenset[SignInSignal]:
    """Let in who cannot be asked for a code, with what was unusual. Raises SignInUnusual or SignInLocked."""
    found = await assess(owner_id=owner_id, origin=origin, policy=policy, now=now, vouched_for=vouched_for)
    signals = found.signals
    if verdict(signals, can_challenge=False) is Verdict.REFUSE:
        await _refuse(owner_id, origin, signals, now)
    return signals


async def enter(
    *,
    owner_id: UUID,
    client: OAuthClient,
    scopes: frozenset[str],
    device_name: str,
    origin: Origin,
    address: str,
    door: Door,
    now: datetime,
) -> Given:
    """Sign a user in whose proof was right.

    Raises ChallengeNeeded, SignInUnusual, SignInLocked, GrantRefused, SmsTooSoon or SmsUnavailable.
    """
    found = await assess(owner_id=owner_id, origin=origin, policy=door.policy, now=now)
    signals = found.signals
    phone = await UserPhone.get_or_none(user_id=owner_id) if signals and door.sms else None
    decided = verdict(signals, can_challenge=phone is not None)
    if decided is Verdict.REFUSE:
        await _refuse(owner_id, origin, signals, now)
    if decided is Verdict.CHALLENGE:
        assert phone is not None, "without a phone nobody is challenged"
        held = {"scopes": sorted(scopes), "device_name": device_name, "origin": origin.kept}
        await _challenge(client, held, phone, origin, signals, address, door, now)
    return await _let_in(owner_id, client, scopes, device_name, origin, found, door, now)


async def _refuse(owner_id: UUID, origin: Origin, signals: frozenset[SignInSignal], now: datetime) -> None:
    kind, reason = SignInKind.REFUSED, SignInUnusual.code
    await records.write(kind=kind, origin=origin, owner_id=owner_id, reason=reason, signals=signals, now=now)
    raise SignInUnusual


@transactional
async def _let_in(
    owner_id: UUID,
    client: OAuthClient,
    scopes: frozenset[str],
    device_name: str,
    origin: Origin,
    found: Assessed,
    door: Door,
    now: datetime,
) -> Given:
    given = await sessions.begin(
        owner_id=owner_id,
        client=client,
        scopes=scopes,
        device_name=device_name,
        tokens=door.tokens,
        policy=door.policy,
        now=now,
        origin=origin,
        signals=found.signals,
    )
    if found.failures:
        await locks.forgive(Subject.of_owner(owner_id, door.policy.sign_ins))
    return given


async def _challenge(
    client: OAuthClient,
    held: dict[str, Any],
    phone: UserPhone,
    origin: Origin,
    signals: frozenset[SignInSignal],
    address: str,
    door: Door,
    now: datetime,
) -> None:
    """Write down what waits, send the code, and raise ChallengeNeeded."""
    assert door.sms is not None
    text, lifetime = new_secret(CHALLENGE_PREFIX), door.policy.sign_ins.challenge_lifetime
    row = SignInChallenge(
        id=new_id(),
        secret_hash=hash_of(text),
        owner_id=phone.user_id,
        client_id=client.client_id,
        held={**held, "signals": sorted(signals)},
        created_at=now,
        expires_at=now + lifetime,
    )
    await _write(row, origin, signals, now)
    await codes.request(
        viewer=_viewer_of(row),
        phone=open_phone(phone, door.sealer),
        purpose=CodePurpose.SIGN_IN,
        subject=str(row.id),
        address=address,
        sender=door.sms,
        sealer=door.sealer,
        policy=door.policy.codes,
        now=now,
    )
    raise ChallengeNeeded(Challenged(text, phone.phone_masked, int(lifetime.total_seconds())))


@transactional
async def _write(row: SignInChallenge, origin: Origin, signals: frozenset[SignInSignal], now: datetime) -> None:
    await row.save(force_create=True)
    await records.write(kind=SignInKind.CHALLENGED, origin=origin, owner_id=row.owner_id, signals=signals, now=now)


async def finish(
    *, client: OAuthClient, auth_session: str, code: str, origin: Origin, door: Door, now: datetime
) -> Given:
    """Let somebody in who has the code, once. Wrong ones count for the user and the address.

    Raises GrantRefused, whatever is wrong, or SignInLocked.
    """
    row = await SignInChallenge.get_or_none(
        secret_hash=hash_of(auth_session), client_id=client.client_id, used_at__isnull=True, expires_at__gt=now
    )
    if row is None:
        raise GrantRefused
    policy = door.policy.sign_ins
    owner = Subject.of_owner(row.owner_id, policy)
    await locks.require_open(owner, now=now)
    phone = await UserPhone.get_or_none(user_id=row.owner_id)
    if phone is None:
        raise GrantRefused
    try:
        await codes.confirm(
            viewer=_viewer_of(row),
            phone=open_phone(phone, door.sealer),
            purpose=CodePurpose.SIGN_IN,
            subject=str(row.id),
            code=code,
            sealer=door.sealer,
            policy=door.policy.codes,
            now=now,
        )
    except (codes.SmsCodeWrong, codes.SmsCodeGone) as error:
        await locks.failed(owner, origin=origin, reason=error.code, policy=policy, now=now, owner_id=row.owner_id)
        raise GrantRefused from error
    return await _finished(row, client, door, now)


@transactional
async def _finished(row: SignInChallenge, client: OAuthClient, door: Door, now: datetime) -> Given:
    if await SignInChallenge.filter(id=row.id, used_at__isnull=True).update(used_at=now) != 1:
        raise GrantRefused
    held = row.held
    signals = frozenset(SignInSignal(each) for each in held["signals"])
    origin, scopes = Origin.kept_before(held["origin"]), frozenset(held["scopes"])
    owner = Subject.of_owner(row.owner_id, door.policy.sign_ins)
    found = Assessed(signals, await locks.recent_failures(owner, policy=door.policy.sign_ins, now=now))
    return await _let_in(row.owner_id, client, scopes, held["device_name"], origin, found, door, now)


def _viewer_of(row: SignInChallenge) -> Viewer:
    """Return whom a code is for, who is nobody's viewer yet and may do nothing."""
    return Viewer(row.owner_id, row.client_id, frozenset(), row.expires_at)
