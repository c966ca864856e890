"""The phone of a user."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from domain.identity.ports import Phone
from domain.identity.viewer import AccountGone
from kernel.sealing import Sealer
from models.database import transactional
from models.identity import User
from models.messages import UserPhone

# What staff find a phone by.
PHONE_TAIL_DIGITS = 4


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
            "phone_tail": phone.masked[-PHONE_TAIL_DIGITS:],
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
