"""Limits that users set themselves: lowered at once, raised with a second proof."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from domain.account.rules import OwnLimits, raises
from domain.identity.queries import lock_user
from domain.identity.viewer import Viewer
from domain.risk import rules as risk
from domain.step_up import operations as step_up
from domain.step_up.rules import Content
from kernel.money import Money
from kernel.sealing import Sealer
from models.database import transactional
from models.step_up import SpendingLimits


async def own_limits(user_id: UUID) -> OwnLimits:
    row = await SpendingLimits.get_or_none(user_id=user_id)
    return OwnLimits(row.per_recharge_fen, row.per_day_fen) if row else OwnLimits()


async def of_users(user_ids: Sequence[UUID]) -> list[OwnLimits]:
    rows = await SpendingLimits.filter(user_id__in=set(user_ids))
    found = {row.user_id: OwnLimits(row.per_recharge_fen, row.per_day_fen) for row in rows}
    return [found.get(user_id, OwnLimits()) for user_id in user_ids]


def read_limits(*, per_recharge: Decimal | None, per_day: Decimal | None, limits: risk.Limits) -> OwnLimits:
    """Return limits in fen. Raises AmountTooLarge over the limits of the service, and what `risk.amount_of` does."""
    return OwnLimits(_read(per_recharge, limits.amount_max_fen), _read(per_day, limits.daily_max_fen))


def _read(yuan: Decimal | None, maximum_fen: int) -> int | None:
    if yuan is None:
        return None
    amount = risk.amount_of(yuan)
    if amount.fen > maximum_fen:
        raise risk.AmountTooLarge(maximum=Money(maximum_fen))
    return amount.fen


@transactional
async def set_limits(
    *, viewer: Viewer, wanted: OwnLimits, grant: str | None, sealer: Sealer, now: datetime
) -> OwnLimits:
    """Put the limits in the place of those before; a grant is used up only where more may be spent than before.

    Orders of the viewer are made under the same lock, so none is made under the old limits behind this commit. Raises
    StepUpNeeded or StepUpGrantInvalid.
    """
    await lock_user(viewer=viewer)
    if raises(wanted, await own_limits(viewer.user_id)):
        content = Content.of_limits(per_recharge_fen=wanted.per_recharge_fen, per_day_fen=wanted.per_day_fen)
        await step_up.spend(viewer=viewer, content=content, grant=grant, sealer=sealer, now=now)
    values = {"per_recharge_fen": wanted.per_recharge_fen, "per_day_fen": wanted.per_day_fen, "changed_at": now}
    await SpendingLimits.update_or_create(user_id=viewer.user_id, defaults=values)
    return wanted
