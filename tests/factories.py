"""Rows that tests start from."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any
from uuid import UUID, uuid4

from domain.access.rules import USUAL_SCOPES
from domain.access.second_factor import Signature
from domain.cards import operations as cards
from domain.identity import staff
from domain.identity.staff import Staff
from domain.identity.viewer import Viewer
from domain.offers import operations as offers
from domain.orders import operations as orders
from domain.orders.creating import Wanted
from domain.orders.policy import Policy
from domain.risk.rules import Limits
from domain.step_up.rules import Content
from kernel.access_states import StepUpState
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.money import Money
from kernel.sealing import Sealer
from kernel.settings import Settings
from kernel.states import ClientKind, StaffRole
from models.access import StaffCredential
from models.cards import FuelCard
from models.identity import User
from models.offers import Offer
from models.orders import RechargeOrder
from models.step_up import StepUpChallenge

SEALER = Sealer(bytes(32))
# The time steps of codes that sign; each comes later than the one before.
STEPS = count(1)
LIMITS = Limits(
    amount_min_fen=1_000,
    amount_max_fen=500_000,
    daily_max_fen=1_000_000,
    unpaid_orders_max=5,
    review_above_fen=200_000,
    split_window=timedelta(hours=1),
    top_up_max_fen=500_000,
    wallet_max_fen=1_000_000,
)
POLICY = replace(Policy.of(Settings()), limits=LIMITS, payment_query_after=timedelta(milliseconds=20))
# What the mini-program gets where it asks for nothing else.
SCOPES = USUAL_SCOPES[ClientKind.MINI_PROGRAM]
SINOPEC_NUMBER = "1000111100000000001"
PETROCHINA_NUMBER = "9012345678901234"


def viewer_of(user_id: UUID) -> Viewer:
    return Viewer(
        user_id=user_id,
        client_id="tests",
        scopes=SCOPES,
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
    yuan: str | None = "500.00",
    offer: Offer | None = None,
    quoted: Money | None = None,
    key: str | None = None,
    limits: Limits = LIMITS,
    pay_within: timedelta = timedelta(minutes=15),
    now: datetime | None = None,
    policy: Policy = POLICY,
) -> RechargeOrder:
    wanted = Wanted(
        operation=orders.CREATE,
        key=key or uuid4().hex,
        card_id=card.id,
        yuan=Decimal(yuan) if yuan else None,
        names_offer=offer is not None,
        offer_id=offer.id if offer else None,
        quoted=quoted,
    )
    policy = replace(policy, limits=limits, pay_within=pay_within)
    return await orders.create(viewer=viewer, wanted=wanted, policy=policy, now=now or utc_now())


async def create_offer(
    *, stock: int = 10, amount_fen: int = 50_000, price_fen: int = 49_000, per_user_max: int = 1, **terms: Any
) -> Offer:
    now = utc_now()
    given: dict[str, Any] = {
        "code": uuid4().hex[:16],
        "title": "满减",
        "brand": None,
        "starts_at": now - timedelta(hours=1),
        "ends_at": now + timedelta(hours=1),
    }
    return await offers.create(
        amount_fen=amount_fen,
        price_fen=price_fen,
        stock=stock,
        per_user_max=per_user_max,
        now=now,
        **(given | terms),
    )


async def create_grant(viewer: Viewer, content: Content, *, sealer: Sealer = SEALER) -> str:
    """Return the grant of a second proof that was given for just this."""
    now, text = utc_now(), f"ysg_{uuid4().hex}"
    await StepUpChallenge.create(
        id=new_id(),
        user_id=viewer.user_id,
        session_id=viewer.session_id,
        action=content.action,
        content_digest=sealer.digest(f"step-up:{viewer.user_id}:{content.text}"),
        face_token=uuid4().hex,
        state=StepUpState.CONFIRMED,
        attempts=1,
        grant_hash=hashlib.sha256(text.encode()).hexdigest(),
        created_at=now,
        expires_at=now + timedelta(minutes=10),
        grant_expires_at=now + timedelta(minutes=5),
    )
    return text


async def create_staff(*roles: StaffRole, customer: Viewer | None = None) -> Staff:
    """Return a new member of staff, with every role where none is named."""
    member = await staff.add(
        name=uuid4().hex,
        roles=frozenset(roles or StaffRole),
        customer_id=customer.user_id if customer else None,
        now=utc_now(),
    )
    return Staff(member.id, member.name, member.customer_id, frozenset(roles or StaffRole))


async def sign(member: Staff) -> Signature:
    """Return a signature of a member of staff that has signed nothing yet."""
    credential = StaffCredential(
        id=new_id(), staff_id=member.id, password_hash="", totp_sealed=b"", totp_step=0, changed_at=utc_now()
    )
    await StaffCredential.bulk_create([credential], ignore_conflicts=True)
    return Signature(member, next(STEPS))
