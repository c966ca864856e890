"""Second proofs: a code by SMS and a face, for one action with one content. The grant that they give is used once."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from domain.identity import codes
from domain.identity.phones import open_phone
from domain.identity.ports import FaceOutcome, FaceVerifier, SmsSender
from domain.identity.queries import lock_user
from domain.identity.viewer import Viewer
from domain.step_up.policy import StepUpPolicy
from domain.step_up.rules import Content
from kernel.access_states import StepUpState
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.sealing import Sealer
from kernel.states import CodePurpose
from kernel.tasks import inside_transaction
from models.database import transactional
from models.messages import UserPhone
from models.step_up import StepUpChallenge

GRANT_PREFIX = "ysg"
GRANT_BYTES = 32
GRANT_LENGTH_MAX = 128
DAY = timedelta(days=1)


class StepUpPhoneMissing(YoukaError):
    code = "STEP_UP_PHONE_MISSING"
    messages = {"zh-CN": "请先绑定手机号", "en": "Bind a phone first; the code is sent there"}


class StepUpsTooMany(YoukaError):
    code = "STEP_UPS_TOO_MANY"
    messages = {"zh-CN": "今日验证次数已达{maximum}次上限", "en": "There were {maximum} verifications in a day already"}


class StepUpGone(YoukaError):
    """Expired, confirmed, tried too often, or of somebody else: all the same to whoever guesses."""

    code = "STEP_UP_GONE"
    messages = {"zh-CN": "验证已失效，请重新发起", "en": "The verification is not valid any more, start another one"}


class StepUpFaceNotFinished(YoukaError):
    code = "STEP_UP_FACE_NOT_FINISHED"
    messages = {"zh-CN": "人脸核身尚未完成", "en": "The face verification is not finished yet"}


class StepUpFaceFailed(YoukaError):
    code = "STEP_UP_FACE_FAILED"
    messages = {"zh-CN": "人脸核身未通过", "en": "The face verification was not passed"}


class StepUpNeeded(YoukaError):
    code = "STEP_UP_NEEDED"
    messages = {
        "zh-CN": "此操作需要短信验证码与人脸核身",
        "en": "This takes a code by SMS and a face verification first",
    }


class StepUpGrantInvalid(YoukaError):
    """Used, expired, of another device, or given for something else than this."""

    code = "STEP_UP_GRANT_INVALID"
    messages = {
        "zh-CN": "验证凭证无效、已使用或与本次操作不符，请重新验证",
        "en": "The verification is used, expired or for something else, please repeat it",
    }


@dataclass(frozen=True, slots=True)
class Started:
    """A second proof to give: a face at `face_url`, and the code that was sent to the masked phone."""

    challenge_id: UUID
    masked_phone: str
    face_token: str
    face_url: str
    expires_at: datetime


@dataclass(frozen=True, slots=True)
class Grant:
    """What the sensitive mutation takes, once."""

    text: str
    expires_at: datetime


async def start(
    *,
    viewer: Viewer,
    content: Content,
    address: str,
    sender: SmsSender,
    face: FaceVerifier,
    sealer: Sealer,
    policy: StepUpPolicy,
    now: datetime,
) -> Started:
    """Begin a face verification and send a code to the viewer's phone.

    Raises StepUpPhoneMissing, StepUpsTooMany, FaceUnavailable, SmsTooSoon, SmsUnavailable or AccountGone.
    """
    phone = await UserPhone.get_or_none(user_id=viewer.user_id)
    if phone is None:
        raise StepUpPhoneMissing
    await _check_daily(viewer, policy, now)
    challenge_id, digest = new_id(), _digest(viewer, content, sealer)
    session = await face.begin(subject=_subject(viewer.user_id, challenge_id, digest))
    row = StepUpChallenge(
        id=challenge_id,
        user_id=viewer.user_id,
        session_id=viewer.session_id,
        action=content.action,
        content_digest=digest,
        face_token=session.token,
        state=StepUpState.OPEN,
        attempts=0,
        created_at=now,
        expires_at=now + policy.lifetime,
    )
    await _write(viewer, row, policy, now)
    await codes.request(
        viewer=viewer,
        phone=open_phone(phone, sealer),
        purpose=CodePurpose.STEP_UP,
        subject=str(challenge_id),
        address=address,
        sender=sender,
        sealer=sealer,
        policy=policy.codes,
        now=now,
    )
    return Started(challenge_id, phone.phone_masked, session.token, session.url, row.expires_at)


async def _check_daily(viewer: Viewer, policy: StepUpPolicy, now: datetime) -> None:
    begun = await StepUpChallenge.filter(user_id=viewer.user_id, created_at__gt=now - DAY).count()
    if begun >= policy.per_user_daily_max:
        raise StepUpsTooMany(maximum=policy.per_user_daily_max)


@transactional
async def _write(viewer: Viewer, row: StepUpChallenge, policy: StepUpPolicy, now: datetime) -> None:
    await lock_user(viewer=viewer)
    await _check_daily(viewer, policy, now)
    await row.save(force_create=True)


async def confirm(
    *,
    viewer: Viewer,
    challenge_id: UUID | None,
    code: str,
    face_token: str,
    face: FaceVerifier,
    sealer: Sealer,
    policy: StepUpPolicy,
    now: datetime,
) -> Grant:
    """Take both proofs, and return the grant that the action takes. The code is spent last, once the face has passed.

    Each try is counted before it is judged. Raises StepUpGone, StepUpFaceNotFinished, StepUpFaceFailed,
    FaceUnavailable, SmsCodeWrong or SmsCodeGone.
    """
    row = await _try(viewer, challenge_id, face_token, policy, now) if challenge_id else None
    if row is None:
        raise StepUpGone
    facts = await face.result(row.face_token)
    if facts.outcome is FaceOutcome.PENDING:
        raise StepUpFaceNotFinished
    if facts.outcome is not FaceOutcome.PASSED or facts.subject != _subject(row.user_id, row.id, row.content_digest):
        raise StepUpFaceFailed
    phone = await UserPhone.get_or_none(user_id=viewer.user_id)
    if phone is None:
        raise StepUpPhoneMissing
    await codes.confirm(
        viewer=viewer,
        phone=open_phone(phone, sealer),
        purpose=CodePurpose.STEP_UP,
        subject=str(row.id),
        code=code,
        sealer=sealer,
        policy=policy.codes,
        now=now,
    )
    return await _grant(row, policy, now)


@transactional
async def _try(
    viewer: Viewer, challenge_id: UUID, face_token: str, policy: StepUpPolicy, now: datetime
) -> StepUpChallenge | None:
    row = await (
        StepUpChallenge.select_for_update()
        .filter(id=challenge_id, user_id=viewer.user_id, state=StepUpState.OPEN, expires_at__gt=now)
        .first()
    )
    if row is None or row.session_id != viewer.session_id or row.attempts >= policy.attempts_max:
        return None
    row.attempts += 1
    await row.save(update_fields=["attempts"])
    return row if hmac.compare_digest(row.face_token.encode(), face_token.encode()) else None


@transactional
async def _grant(row: StepUpChallenge, policy: StepUpPolicy, now: datetime) -> Grant:
    text = f"{GRANT_PREFIX}_{secrets.token_urlsafe(GRANT_BYTES)}"
    expires_at = now + policy.grant_lifetime
    given = await StepUpChallenge.filter(id=row.id, state=StepUpState.OPEN).update(
        state=StepUpState.CONFIRMED, grant_hash=_hash_of(text), grant_expires_at=expires_at
    )
    if given != 1:
        raise StepUpGone
    return Grant(text, expires_at)


async def spend(*, viewer: Viewer, content: Content, grant: str | None, sealer: Sealer, now: datetime) -> None:
    """Use a grant up, in the transaction of what it was given for; of two uses beside each other one wins.

    Where that transaction is rolled back, the grant is as good as before. Raises StepUpNeeded where there is none, or
    StepUpGrantInvalid.
    """
    assert inside_transaction.get(), "a grant is used up with what it was given for, or not at all"
    if not grant:
        raise StepUpNeeded
    if len(grant) > GRANT_LENGTH_MAX:
        raise StepUpGrantInvalid
    good = StepUpChallenge.filter(
        grant_hash=_hash_of(grant),
        user_id=viewer.user_id,
        action=content.action,
        content_digest=_digest(viewer, content, sealer),
        state=StepUpState.CONFIRMED,
        grant_expires_at__gt=now,
    )
    same_device = (
        good.filter(session_id=viewer.session_id) if viewer.session_id else good.filter(session_id__isnull=True)
    )
    if await same_device.update(state=StepUpState.USED, used_at=now) != 1:
        raise StepUpGrantInvalid


def _hash_of(grant: str) -> str:
    return hashlib.sha256(grant.encode()).hexdigest()


def _digest(viewer: Viewer, content: Content, sealer: Sealer) -> str:
    """Keyed, since a new phone number could be guessed from a plain digest."""
    return sealer.digest(f"step-up:{viewer.user_id}:{content.text}")


def _subject(user_id: UUID, challenge_id: UUID, digest: str) -> str:
    """Return what the result of the face verification must carry: the person and the one thing that they agree to."""
    return f"{user_id}:step-up:{challenge_id}:{digest}"
