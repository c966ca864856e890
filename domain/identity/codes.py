"""Codes by SMS: for one person, one purpose and one subject, good once and for a few minutes.

Only digests are kept. A row is there before the message is sent, so that the limits count what may have been sent.
"""

from __future__ import annotations

import hmac
import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self

from tortoise import Tortoise

from domain.identity.phone_numbers import read_phone
from domain.identity.ports import Phone, SmsSender, SmsUnavailable
from domain.identity.viewer import AccountGone, Viewer
from kernel.errors import YoukaError
from kernel.ids import new_id
from kernel.sealing import Sealer
from kernel.settings import Settings
from kernel.states import CodePurpose
from models.database import dialect, transactional
from models.identity import User
from models.messages import SmsCode

CODE_DIGITS = 6
WINDOW = timedelta(days=1)


class SmsTooSoon(YoukaError):
    code = "SMS_TOO_SOON"
    messages = {"zh-CN": "验证码发送过于频繁，请稍后再试", "en": "Codes were asked for too often, please try later"}


class SmsCodeWrong(YoukaError):
    code = "SMS_CODE_WRONG"
    messages = {"zh-CN": "验证码错误", "en": "The code is wrong"}


class SmsCodeGone(YoukaError):
    """Expired, used, tried too often, or never asked for: all the same to whoever guesses."""

    code = "SMS_CODE_GONE"
    messages = {"zh-CN": "验证码已失效，请重新获取", "en": "The code is not valid any more, ask for another one"}


@dataclass(frozen=True, slots=True)
class CodePolicy:
    """Limits of codes: how long they live, how often they are tried, and how many are sent in a day."""

    lifetime: timedelta
    interval: timedelta
    attempts_max: int
    per_phone_max: int
    per_user_max: int
    per_address_max: int

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(
            lifetime=timedelta(seconds=settings.sms_code_lifetime_s),
            interval=timedelta(seconds=settings.sms_interval_s),
            attempts_max=settings.sms_attempts_max,
            per_phone_max=settings.sms_per_phone_daily_max,
            per_user_max=settings.sms_per_user_daily_max,
            per_address_max=settings.sms_per_address_daily_max,
        )


async def request(
    *,
    viewer: Viewer,
    phone: str,
    purpose: CodePurpose,
    subject: str,
    address: str,
    sender: SmsSender,
    sealer: Sealer,
    policy: CodePolicy,
    now: datetime,
) -> datetime:
    """Send a new code to a phone, which ends the one before it, and return until when it is good.

    `subject` is what the code will confirm, such as an order; `address` is where the request came from. Raises
    PhoneInvalid, SmsTooSoon, SmsUnavailable or AccountGone.
    """
    number, expires_at = read_phone(phone), now + policy.lifetime
    code = f"{secrets.randbelow(10**CODE_DIGITS):0{CODE_DIGITS}d}"
    row = SmsCode(
        id=new_id(),
        user_id=viewer.user_id,
        purpose=purpose,
        subject=subject,
        phone_digest=sealer.digest(number.e164),
        address_digest=sealer.digest(f"address:{address}"),
        attempts=0,
        created_at=now,
        expires_at=expires_at,
    )
    row.code_digest = _digest(row, code, sealer)
    await _write(row, policy, now)
    try:
        await sender.send_code(phone=number, code=code, lifetime=policy.lifetime)
    except SmsUnavailable:
        # It may have been sent all the same, so it counts, but nobody is left waiting for it.
        await _end(row, now)
        raise
    return expires_at


@transactional
async def _write(row: SmsCode, policy: CodePolicy, now: datetime) -> None:
    if await User.select_for_update().filter(id=row.user_id).first() is None:
        raise AccountGone
    await _take_turns(row.phone_digest, row.address_digest)
    recent = SmsCode.filter(created_at__gt=now - WINDOW)
    if (
        await SmsCode.exists(user_id=row.user_id, created_at__gt=now - policy.interval)
        or await SmsCode.exists(phone_digest=row.phone_digest, created_at__gt=now - policy.interval)
        or await recent.filter(phone_digest=row.phone_digest).count() >= policy.per_phone_max
        or await recent.filter(user_id=row.user_id).count() >= policy.per_user_max
        or await recent.filter(address_digest=row.address_digest).count() >= policy.per_address_max
    ):
        raise SmsTooSoon
    await SmsCode.filter(user_id=row.user_id, purpose=row.purpose, ended_at__isnull=True).update(ended_at=now)
    await row.save(force_create=True)


async def _take_turns(*digests: str) -> None:
    """Let requests about one phone, or from one address, happen one after another, so that limits count all of them.

    SQLite has one writer at a time anyway.
    """
    if dialect() == "postgres":
        connection = Tortoise.get_connection("default")
        for digest in sorted(digests):
            await connection.execute_query("SELECT pg_advisory_xact_lock(hashtextextended($1, 0))", [digest])


@transactional
async def _end(row: SmsCode, now: datetime) -> None:
    await SmsCode.filter(id=row.id, ended_at__isnull=True).update(ended_at=now)


async def confirm(
    *,
    viewer: Viewer,
    phone: str,
    purpose: CodePurpose,
    subject: str,
    code: str,
    sealer: Sealer,
    policy: CodePolicy,
    now: datetime,
) -> Phone:
    """Use a code up, and return the phone that it was sent to.

    Each try is counted before it is judged, so guessing beside each other gains nothing. Raises PhoneInvalid,
    SmsCodeWrong or SmsCodeGone.
    """
    number = read_phone(phone)
    row = await _try(viewer, purpose, subject, sealer.digest(number.e164), policy, now)
    if not hmac.compare_digest(row.code_digest, _digest(row, code, sealer)):
        raise SmsCodeWrong
    if not await _use(row, now):
        raise SmsCodeGone
    return number


@transactional
async def _try(
    viewer: Viewer, purpose: CodePurpose, subject: str, phone_digest: str, policy: CodePolicy, now: datetime
) -> SmsCode:
    row = (
        await SmsCode.select_for_update()
        .filter(
            user_id=viewer.user_id,
            purpose=purpose,
            subject=subject,
            phone_digest=phone_digest,
            ended_at__isnull=True,
            expires_at__gt=now,
        )
        .first()
    )
    if row is None or row.attempts >= policy.attempts_max:
        raise SmsCodeGone
    row.attempts += 1
    await row.save(update_fields=["attempts"])
    return row


@transactional
async def _use(row: SmsCode, now: datetime) -> bool:
    return await SmsCode.filter(id=row.id, ended_at__isnull=True).update(ended_at=now) == 1


@transactional
async def purge(*, before: datetime) -> int:
    """Forget codes from before the moment, and return how many they were."""
    return await SmsCode.filter(created_at__lt=before).delete()


def _digest(row: SmsCode, code: str, sealer: Sealer) -> str:
    """Bind the code to its row, so that a digest tells nothing about another one with the same digits."""
    return sealer.digest(f"sms:{row.id}:{row.purpose.value}:{row.subject}:{code}")
