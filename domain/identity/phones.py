"""The phone of a user."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from domain.identity.ports import Phone, PhoneNumbers
from domain.identity.viewer import AccountGone, Viewer
from kernel.sealing import Sealer
from models.database import transactional
from models.identity import User
from models.messages import UserPhone


async def bind(*, viewer: Viewer, code: str, phones: PhoneNumbers, sealer: Sealer, now: datetime) -> UserPhone:
    """Bind the number that the platform vouches for; it takes the place of another one.

    Raises PhoneCodeRefused, PhoneUnavailable or AccountGone.
    """
    return await keep(user_id=viewer.user_id, phone=await phones.phone_of(code), sealer=sealer, now=now)


@transactional
async def keep(*, user_id: UUID, phone: Phone, sealer: Sealer, now: datetime) -> UserPhone:
    """Write down a number that somebody has vouched for. Raises AccountGone."""
    if await User.select_for_update().filter(id=user_id).first() is None:
        raise AccountGone
    row, _ = await UserPhone.update_or_create(
        user_id=user_id,
        defaults={
            "phone_sealed": sealer.seal(phone.e164, owner=f"phone:{user_id}"),
            "phone_digest": sealer.digest(phone.e164),
            "phone_masked": phone.masked,
            "bound_at": now,
        },
    )
    return row


def open_phone(row: UserPhone, sealer: Sealer) -> str:
    """Return the number in E.164 form, for who sends to it alone. Raises SealBroken."""
    return sealer.open(bytes(row.phone_sealed), owner=f"phone:{row.user_id}")


async def of_users(user_ids: Sequence[UUID]) -> list[UserPhone | None]:
    found = {row.user_id: row for row in await UserPhone.filter(user_id__in=set(user_ids))}
    return [found.get(user_id) for user_id in user_ids]
