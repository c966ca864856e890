"""Rows that tests start from."""

from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from uuid import UUID, uuid4

from domain.cards import operations as cards
from domain.identity.viewer import Viewer
from domain.orders import operations as orders
from domain.risk.rules import Limits
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.sealing import Sealer
from models.cards import FuelCard
from models.identity import User
from models.orders import RechargeOrder

SEALER = Sealer(bytes(32))
LIMITS = Limits(amount_min_fen=1_000, amount_max_fen=200_000, daily_max_fen=1_000_000, unpaid_orders_max=5)
SINOPEC_NUMBER = "1000111100000000001"
PETROCHINA_NUMBER = "9012345678901234"


def viewer_of(user_id: UUID) -> Viewer:
    return Viewer(
        user_id=user_id,
        client_id="tests",
        scopes=frozenset({"recharge"}),
        expires_at=utc_now() + timedelta(hours=1),
    )


async def create_viewer(openid: str | None = None) -> Viewer:
    user = await User.create(id=new_id(), openid=openid or f"o{uuid4().hex}", display_name="测试", created_at=utc_now())
    return viewer_of(user.id)


async def create_card(viewer: Viewer, number: str = SINOPEC_NUMBER) -> FuelCard:
    return await cards.bind(viewer=viewer, number=number, sealer=SEALER, cards_max=20, now=utc_now())


async def create_order(
    viewer: Viewer,
    card: FuelCard,
    *,
    yuan: str = "500.00",
    key: str | None = None,
    limits: Limits = LIMITS,
    pay_within: timedelta = timedelta(minutes=15),
) -> RechargeOrder:
    return await orders.create(
        viewer=viewer,
        card_id=card.id,
        yuan=Decimal(yuan),
        idempotency_key=key or uuid4().hex,
        limits=limits,
        pay_within=pay_within,
        now=utc_now(),
    )
