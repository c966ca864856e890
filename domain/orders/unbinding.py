"""Taking a card off its user: with a second proof, and not while money is on its way to it. Its history stays."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.cards import queries as cards
from domain.cards.queries import CardNotFound
from domain.identity.queries import lock_user
from domain.identity.viewer import Viewer
from domain.mandates import operations as mandates
from domain.step_up import operations as step_up
from domain.step_up.rules import Content
from kernel.errors import YoukaError
from kernel.sealing import Sealer
from kernel.states import OrderState
from models.cards import FuelCard
from models.changes import of_users
from models.database import transactional
from models.orders import RechargeOrder

IN_FLIGHT = (OrderState.PENDING_PAYMENT, OrderState.PAYING, OrderState.RECHARGING)


class CardInUse(YoukaError):
    code = "CARD_IN_USE"
    messages = {
        "zh-CN": "该油卡有进行中的充值订单，请完成或取消后再解绑",
        "en": "A recharge of this card is under way; let it end or cancel it first",
    }


@transactional
async def unbind(*, viewer: Viewer, card_id: UUID | None, grant: str | None, sealer: Sealer, now: datetime) -> FuelCard:
    """Unbind a card of the viewer. A mandate pays for it no more, and is revoked where it pays for no other card.

    Orders and mandates of the viewer begin under the same lock, so none begins for the card behind this commit. Raises
    CardNotFound, CardInUse, StepUpNeeded or StepUpGrantInvalid.
    """
    await lock_user(viewer=viewer)
    card = await cards.owned(viewer=viewer, card_id=card_id) if card_id else None
    if card is None:
        raise CardNotFound
    if await RechargeOrder.exists(user_id=viewer.user_id, card_id=card.id, state__in=IN_FLIGHT):
        raise CardInUse
    await step_up.spend(viewer=viewer, content=Content.of_card(card.id), grant=grant, sealer=sealer, now=now)
    await mandates.leave_out(viewer=viewer, card_id=card.id, now=now)
    card.unbound_at = now
    with of_users(viewer.user_id):
        await card.save(update_fields=["unbound_at"])
    return card
