"""支付密码: set, changed and reset with a second proof, asked for where the wallet pays.

What is hashed is a digest with the data key, so that six digits cannot be tried out on a stolen table. Hashing takes a
tenth of a second in a thread of its own, and never happens inside a transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Self
from uuid import UUID

from domain.access import passwords
from domain.account.rules import PASSWORD, check_password
from domain.identity.phones import open_phone
from domain.identity.ports import CHINA
from domain.identity.queries import lock_user
from domain.identity.viewer import Viewer
from domain.step_up import operations as step_up
from domain.step_up.rules import Content
from kernel.access_states import StepUpAction
from kernel.errors import YoukaError
from kernel.sealing import Sealer
from kernel.settings import Settings
from models.database import transactional
from models.messages import UserPhone
from models.step_up import PaymentPassword


class PaymentPasswordNotSet(YoukaError):
    code = "PAYMENT_PASSWORD_NOT_SET"
    messages = {"zh-CN": "尚未设置支付密码", "en": "There is no payment password yet"}


class PaymentPasswordSet(YoukaError):
    code = "PAYMENT_PASSWORD_SET"
    messages = {"zh-CN": "已设置支付密码，请修改或重置", "en": "There is a payment password; change or reset it"}


class PaymentPasswordNeeded(YoukaError):
    code = "PAYMENT_PASSWORD_NEEDED"
    messages = {"zh-CN": "请输入支付密码", "en": "Paying from the wallet takes the payment password"}


class PaymentPasswordWrong(YoukaError):
    """`attempts_left` is how many wrong ones more lock it; 0 where this one has."""

    code = "PAYMENT_PASSWORD_WRONG"
    messages = {
        "zh-CN": "支付密码错误，还可尝试{attempts_left}次",
        "en": "The payment password is wrong; {attempts_left} tries are left",
    }


class PaymentPasswordLocked(YoukaError):
    code = "PAYMENT_PASSWORD_LOCKED"
    messages = {
        "zh-CN": "支付密码错误次数过多，已锁定，请稍后再试或重置",
        "en": "There were too many wrong tries; wait, or reset the payment password",
    }


@dataclass(frozen=True, slots=True)
class PasswordPolicy:
    attempts_max: int
    lock: timedelta

    @classmethod
    def of(cls, settings: Settings) -> Self:
        return cls(settings.payment_password_attempts_max, timedelta(seconds=settings.payment_password_lock_s))


@dataclass(frozen=True, slots=True)
class Keeper:
    """What judging a payment password takes beside the database."""

    sealer: Sealer
    policy: PasswordPolicy


@dataclass(frozen=True, slots=True)
class Given:
    """What somebody typed to pay with, if anything."""

    password: str | None
    keeper: Keeper


async def is_set(user_id: UUID) -> bool:
    return await PaymentPassword.exists(user_id=user_id)


async def set_first(*, viewer: Viewer, password: str, grant: str | None, keeper: Keeper, now: datetime) -> None:
    """Raises PaymentPasswordMalformed, PaymentPasswordWeak, PaymentPasswordSet, and the errors of `step_up.spend`."""
    await _check(viewer, password, keeper)
    digest = await _hashed(viewer.user_id, password, keeper)
    await _write(viewer, digest, StepUpAction.SET_PAYMENT_PASSWORD, grant, keeper, now)


async def change(
    *, viewer: Viewer, current: str, password: str, grant: str | None, keeper: Keeper, now: datetime
) -> None:
    """Raises what `set_first` and `require` do, and PaymentPasswordNotSet."""
    await _check(viewer, password, keeper)
    if not await is_set(viewer.user_id):
        raise PaymentPasswordNotSet
    await require(viewer=viewer, given=Given(current, keeper), now=now)
    digest = await _hashed(viewer.user_id, password, keeper)
    await _write(viewer, digest, StepUpAction.CHANGE_PAYMENT_PASSWORD, grant, keeper, now)


async def reset(*, viewer: Viewer, password: str, grant: str | None, keeper: Keeper, now: datetime) -> None:
    """Put a new one in the place of one that was forgotten, which ends its lock. Raises what `change` does."""
    await _check(viewer, password, keeper)
    digest = await _hashed(viewer.user_id, password, keeper)
    await _write(viewer, digest, StepUpAction.RESET_PAYMENT_PASSWORD, grant, keeper, now)


async def require(*, viewer: Viewer, given: Given | None, now: datetime) -> None:
    """Judge the password of a viewer who has one; never call this inside a transaction.

    Where somebody speaks nothing is given, whatever they say. Each try is counted before it is judged, so guessing
    beside each other gains nothing. Raises PaymentPasswordNeeded, PaymentPasswordWrong or PaymentPasswordLocked.
    """
    if not await is_set(viewer.user_id):
        return
    if given is None or not given.password:
        raise PaymentPasswordNeeded
    row, left = await _try(viewer, given.keeper.policy, now)
    text = given.password if PASSWORD.fullmatch(given.password) else ""
    if not await passwords.is_right(_peppered(viewer.user_id, text, given.keeper), row.password_hash):
        raise PaymentPasswordWrong(attempts_left=left)
    await _forgive(row)


async def _check(viewer: Viewer, password: str, keeper: Keeper) -> None:
    phone = await UserPhone.get_or_none(user_id=viewer.user_id)
    number = open_phone(phone, keeper.sealer).removeprefix(f"+{CHINA}") if phone else None
    check_password(password, phone=number)


async def set_by(user_ids: Sequence[UUID]) -> list[bool]:
    """Say of each user whether they have a payment password."""
    there = set(await PaymentPassword.filter(user_id__in=set(user_ids)).values_list("user_id", flat=True))
    return [user_id in there for user_id in user_ids]


@transactional
async def _write(
    viewer: Viewer, digest: str, action: StepUpAction, grant: str | None, keeper: Keeper, now: datetime
) -> None:
    await lock_user(viewer=viewer)
    there = await is_set(viewer.user_id)
    if there and action is StepUpAction.SET_PAYMENT_PASSWORD:
        raise PaymentPasswordSet
    if not there and action is not StepUpAction.SET_PAYMENT_PASSWORD:
        raise PaymentPasswordNotSet
    await step_up.spend(viewer=viewer, content=Content(action), grant=grant, sealer=keeper.sealer, now=now)
    values = {"password_hash": digest, "failures": 0, "locked_until": None, "changed_at": now}
    await PaymentPassword.update_or_create(user_id=viewer.user_id, defaults=values)


@transactional
async def _try(viewer: Viewer, policy: PasswordPolicy, now: datetime) -> tuple[PaymentPassword, int]:
    """Count a try, and return how many wrong ones more lock the password. Raises PaymentPasswordLocked."""
    row = await PaymentPassword.select_for_update().get(user_id=viewer.user_id)
    if row.locked_until is not None and now < row.locked_until:
        raise PaymentPasswordLocked(retry_at=row.locked_until)
    if row.locked_until is not None:
        row.failures, row.locked_until = 0, None
    row.failures += 1
    if row.failures >= policy.attempts_max:
        row.locked_until = now + policy.lock
    await row.save(update_fields=["failures", "locked_until"])
    return row, max(0, policy.attempts_max - row.failures)


@transactional
async def _forgive(row: PaymentPassword) -> None:
    """Forget the wrong tries before a right one, unless the password is another one by now."""
    unchanged = PaymentPassword.filter(user_id=row.user_id, password_hash=row.password_hash)
    await unchanged.update(failures=0, locked_until=None)


async def _hashed(user_id: UUID, password: str, keeper: Keeper) -> str:
    return await passwords.hashed(_peppered(user_id, password, keeper))


def _peppered(user_id: UUID, password: str, keeper: Keeper) -> str:
    return keeper.sealer.digest(f"payment-password:{user_id}:{password}")
