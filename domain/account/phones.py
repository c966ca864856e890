"""Binding a phone: the first one is bound as it comes, another one takes a second proof by way of the one before."""

from __future__ import annotations

from datetime import datetime

from domain.identity import codes, phones
from domain.identity.codes import CodePolicy
from domain.identity.phone_numbers import read_phone
from domain.identity.ports import Phone, PhoneNumbers
from domain.identity.queries import lock_user
from domain.identity.viewer import Viewer
from domain.step_up import operations as step_up
from domain.step_up.rules import Content
from kernel.sealing import Sealer
from kernel.states import CodePurpose
from models.database import transactional
from models.messages import UserPhone


async def bind(
    *, viewer: Viewer, code: str, grant: str | None, numbers: PhoneNumbers, sealer: Sealer, now: datetime
) -> UserPhone:
    """Bind the number that the platform vouches for.

    Raises PhoneCodeRefused, PhoneUnavailable, AccountGone, StepUpNeeded or StepUpGrantInvalid.
    """
    phone = await numbers.phone_of(code)
    return await keep(viewer=viewer, phone=phone, grant=grant, sealer=sealer, now=now)


async def confirm(
    *,
    viewer: Viewer,
    phone: str,
    code: str,
    grant: str | None,
    sealer: Sealer,
    policy: CodePolicy,
    now: datetime,
) -> UserPhone:
    """Bind the number that a code was sent to. A grant that is missing is asked for before the code is used up.

    Raises PhoneInvalid, SmsCodeWrong, SmsCodeGone, AccountGone, StepUpNeeded or StepUpGrantInvalid.
    """
    number = read_phone(phone)
    if not grant and await _is_other(viewer, number, sealer):
        raise step_up.StepUpNeeded
    await codes.confirm(
        viewer=viewer,
        phone=phone,
        purpose=CodePurpose.BIND_PHONE,
        subject=str(viewer.user_id),
        code=code,
        sealer=sealer,
        policy=policy,
        now=now,
    )
    return await keep(viewer=viewer, phone=number, grant=grant, sealer=sealer, now=now)


async def _is_other(viewer: Viewer, phone: Phone, sealer: Sealer) -> bool:
    """Say whether another phone is bound than this one."""
    before = await UserPhone.get_or_none(user_id=viewer.user_id)
    return before is not None and before.phone_digest != sealer.digest(phone.e164)


@transactional
async def keep(*, viewer: Viewer, phone: Phone, grant: str | None, sealer: Sealer, now: datetime) -> UserPhone:
    """Bind a number that somebody has vouched for; the same one again takes no grant.

    Raises AccountGone, StepUpNeeded or StepUpGrantInvalid.
    """
    await lock_user(viewer=viewer)
    if await _is_other(viewer, phone, sealer):
        content = Content.of_phone(phone.e164)
        await step_up.spend(viewer=viewer, content=content, grant=grant, sealer=sealer, now=now)
    return await phones.keep(user_id=viewer.user_id, phone=phone, sealer=sealer, now=now)
