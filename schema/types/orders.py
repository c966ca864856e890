"""Recharge orders as clients see them."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from typing import Self
from uuid import UUID

import strawberry

from domain.cards.facts import CardFacts
from domain.identity.staff import is_staff
from domain.orders.creating import Created
from domain.orders.drafts import Synced
from domain.orders.face_checks import StartedFaceCheck
from domain.orders.facts import OrderFacts, of_new
from domain.orders.paying import StartedPayment
from domain.payments.ports import AlipayParameters
from domain.payments.ports import PaymentParameters as Parameters
from domain.voice import spoken
from kernel.errors import Locale
from kernel.money import Money as Amount
from models.cards import FuelCard
from models.offers import Offer as OfferRow
from models.orders import OrderTransition, RechargeOrder
from models.organisations import Organisation as OrganisationRow
from schema.types import caching, columns, costs
from schema.types.cards import Card
from schema.types.context import Info
from schema.types.enums import (
    ActorKind,
    FailureKind,
    OrderState,
    PaymentMethod,
    RefundState,
    ReviewReason,
    ReviewState,
)
from schema.types.errors import to_user_error
from schema.types.loading import Loader
from schema.types.money import Money
from schema.types.offers import Offer
from schema.types.organisation_names import OrganisationName
from schema.types.relations import by_viewer, parts_of, relation
from schema.types.relay import Node, global_id
from schema.types.requirements import INTERNAL
from schema.types.rows import Joined, Made, OfRow
from schema.types.scalars import DateTime, Yuan
from schema.types.spoken import MaxChars, Speaking, locale_of
from schema.types.user_error import UserError

ACTORS = {"user": ActorKind.USER, "staff": ActorKind.STAFF, "system": ActorKind.SYSTEM}


@strawberry.type(description="One step that an order has taken.")
class OrderStep:
    version: int = strawberry.field(description="Which step of the order this is, from 1.")
    rule: int = strawberry.field(description="The row of the table of order states that allowed it.")
    trigger: str = strawberry.field(description="What happened, such as `CONFIRM_PAYMENT`.")
    from_state: OrderState | None = strawberry.field(description="Where the order stood; null before it existed.")
    to_state: OrderState = strawberry.field(description="Where the step led.")
    by: ActorKind = strawberry.field(description="Who took the step.")
    at: DateTime = strawberry.field(description="When.")
    actor: str | None = strawberry.field(
        directives=[INTERNAL], description="Who exactly; for staff, and null to others."
    )
    reason: str | None = strawberry.field(
        directives=[INTERNAL], description="Why, in the words of whoever acted; for staff, null to others."
    )
    request_id: str | None = strawberry.field(
        directives=[INTERNAL], description="The request that caused it; for staff, null to others."
    )

    @classmethod
    def of(cls, row: OrderTransition, *, whole: bool) -> Self:
        return cls(
            version=row.version,
            rule=row.rule,
            trigger=row.trigger,
            from_state=row.from_state,
            to_state=row.to_state,
            by=ACTORS.get(row.actor.partition(":")[0], ActorKind.THIRD_PARTY),
            at=DateTime(row.occurred_at),
            actor=row.actor if whole else None,
            reason=row.reason if whole else None,
            request_id=row.request_id if whole else None,
        )


class CardLoader:
    """Loads cards by their ids, and takes those that came with their order as they are."""

    __slots__ = ("_cards",)

    def __init__(self, cards: Loader[UUID, CardFacts]) -> None:
        self._cards = cards

    def load(self, key: UUID | CardFacts) -> Awaitable[CardFacts]:
        if not isinstance(key, CardFacts):
            return self._cards.load(key)
        known: asyncio.Future[CardFacts] = asyncio.get_running_loop().create_future()
        known.set_result(key)
        return known


@strawberry.type(directives=[caching.AS_ITS_PARENT], description="One recharge of one card.")
class Order(OfRow[RechargeOrder | OrderFacts], Node):
    state: OrderState = strawberry.field(description="Where the order stands.")
    amount: Money = strawberry.field(description="What arrives on the card.")
    price: Money = strawberry.field(description="What is paid; less than `amount` where an offer was taken.")
    failure_kind: FailureKind | None = strawberry.field(description="Why the order failed, where it did.")
    refund_state: RefundState = strawberry.field(description="Where the money of a failed order is.")
    review_state: ReviewState = strawberry.field(description="Whether a person must look at the order.")
    review_reason: ReviewReason | None = strawberry.field(description="Why a person must look at it, where one must.")
    pay_deadline_at: DateTime = strawberry.field(description="Until when the order can be paid.")
    created_at: DateTime = strawberry.field(description="When the order was created.")
    updated_at: DateTime = strawberry.field(description="When the order last changed.")

    readers = {
        "id": lambda row: global_id("Order", row.id),
        "amount": Made(Money, "amount_fen"),
        "price": Made(Money, "price_fen"),
    }
    columns = {
        **columns.global_id("Order"),
        **columns.member("state", OrderState),
        **columns.member("failure_kind", FailureKind, nullable=True),
        **columns.member("refund_state", RefundState),
        **columns.member("review_state", ReviewState),
        **columns.member("review_reason", ReviewReason, nullable=True),
        **columns.moment("pay_deadline_at", "pay_deadline_at"),
        **columns.moment("created_at", "created_at"),
        **columns.moment("updated_at", "updated_at"),
        "card": Joined(Card, "c"),
    }

    @relation(
        lambda loaders: CardLoader(loaders.cards),
        by="card_id",
        directives=[costs.READ],
        description="The card that is recharged.",
    )
    @staticmethod
    def card(row: FuelCard) -> Card:
        return Card.of(row)

    @relation(
        lambda loaders: loaders.organisations.names,
        by=by_viewer("organisation_id"),
        directives=[costs.READ],
        description="The organisation whose card is recharged; null for an order of one's own.",
    )
    @staticmethod
    def organisation(row: OrganisationRow | None) -> OrganisationName | None:
        return OrganisationName.of(row) if row else None

    @relation(
        lambda loaders: loaders.organisations.member_names,
        by=by_viewer("member_id"),
        directives=[costs.READ, caching.NEVER],
        description="The member who has ordered it for the organisation, and who pays it.",
    )
    @staticmethod
    def ordered_by(name: str | None) -> str | None:
        return name

    @relation(
        lambda loaders: loaders.offers,
        by="offer_id",
        directives=[costs.READ],
        description="The offer that was taken, if one was.",
    )
    @staticmethod
    def offer(row: OfferRow | None) -> Offer | None:
        return Offer.of(row) if row else None

    @strawberry.field(
        directives=[costs.READ, costs.at_most(30)], description="Every step that the order has taken, oldest first."
    )
    async def story(self, info: Info) -> list[OrderStep]:
        whole = is_staff(info.context.viewer)
        return [OrderStep.of(row, whole=whole) for row in await info.context.loaders.stories.load(self.row.id)]

    @strawberry.field(description="How much it is and how it stands, where both fit; else null.")
    def spoken(self, info: Info, locale: Speaking = None, max_chars: MaxChars = 60) -> str | None:
        return spoken.order(Amount(self.amount.fen), self.state, locale_of(info, locale), max_chars)


# What can be loaded along with orders.
CARD = parts_of(Order, "card")

IDEMPOTENCY_KEY = (
    "8 to 64 visible ASCII characters, new for each intent. The same key with the same input gives the first result "
    "again, so a request whose answer was lost can be repeated safely."
)


@strawberry.input(description="A recharge to order.")
class CreateRechargeInput:
    card_id: strawberry.ID = strawberry.field(description="The card to recharge.")
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY_KEY)
    amount: Yuan | None = strawberry.field(
        description="How much to recharge. May be left out with an offer.", default=None
    )
    offer_id: strawberry.ID | None = strawberry.field(description="The offer to take.", default=None)


@strawberry.input(description="An order to pay.")
class PayRechargeInput:
    order_id: strawberry.ID = strawberry.field(description="The order to pay.")
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY_KEY)
    method: PaymentMethod = strawberry.field(description="How to pay.", default=PaymentMethod.WECHAT_PAY)
    alternatives: list[PaymentMethod] = strawberry.field(
        description="What the client can use as well, in the order of preference, where `method` is not up now. The "
        "wallet and a mandate are none of these.",
        default_factory=list,
    )
    alipay_auth_code: str | None = strawberry.field(
        description="The code of the mini-program's `my.getAuthCode`, with ALIPAY. It may be left out once the viewer "
        "is known there.",
        default=None,
    )
    face_token: str | None = strawberry.field(
        description="The token of a passed face verification, where `reviewState` is REQUIRED.", default=None
    )
    payment_password: str | None = strawberry.field(
        description="With WALLET, where the viewer has one (`hasPaymentPassword`).", default=None
    )


@strawberry.input(description="An order whose payer is to be verified.")
class StartFaceCheckInput:
    order_id: strawberry.ID = strawberry.field(description="The order, whose `reviewState` is REQUIRED.")


@strawberry.input(description="An order that was drafted without a connection.")
class DraftOrderInput:
    client_id: str = strawberry.field(
        description="The client's own name for the draft: 8 to 64 visible ASCII characters, the same in every sync."
    )
    card_id: strawberry.ID = strawberry.field(description="The card to recharge.")
    quoted_price: Yuan = strawberry.field(description="The price that the user saw when drafting.")
    amount: Yuan | None = strawberry.field(
        description="How much to recharge. May be left out with an offer.", default=None
    )
    offer_id: strawberry.ID | None = strawberry.field(description="The offer to take.", default=None)


@strawberry.input(description="Orders that were drafted without a connection.")
class SyncDraftOrdersInput:
    drafts: list[DraftOrderInput] = strawberry.field(description="The drafts, up to 20, in the order to make them in.")


@strawberry.input(description="An order to cancel.")
class CancelRechargeInput:
    order_id: strawberry.ID = strawberry.field(description="The unpaid order to cancel.")


@strawberry.type(description="The arguments of the mini-program's `wx.requestPayment`.")
class PaymentParameters:
    app_id: str = strawberry.field(description="`appId`")
    time_stamp: str = strawberry.field(description="`timeStamp`, Unix seconds")
    nonce_str: str = strawberry.field(description="`nonceStr`")
    package: str = strawberry.field(description="`package`, such as `prepay_id=wx20…`")
    sign_type: str = strawberry.field(description="`signType`, always RSA")
    pay_sign: str = strawberry.field(description="`paySign`, the signature over the others")

    @classmethod
    def of(cls, parameters: Parameters) -> Self:
        return cls(
            app_id=parameters.app_id,
            time_stamp=parameters.time_stamp,
            nonce_str=parameters.nonce_str,
            package=parameters.package,
            sign_type=parameters.sign_type,
            pay_sign=parameters.pay_sign,
        )


@strawberry.type(description="The arguments of the mini-program's `my.tradePay`.")
class AlipayPaymentParameters:
    trade_no: str = strawberry.field(description="`tradeNO`")

    @classmethod
    def of(cls, parameters: AlipayParameters) -> Self:
        return cls(trade_no=parameters.trade_no)


@strawberry.type(
    description="A payment was started. Where neither `payment` nor `alipay` is set, the wallet has paid or a mandate "
    "pays; `order.state` says which."
)
class PayRechargeSuccess:
    order: Order = strawberry.field(description="The order, now being paid.")
    payment: PaymentParameters | None = strawberry.field(
        description="What the client hands to WeChat Pay; null where another way is taken."
    )
    alipay: AlipayPaymentParameters | None = strawberry.field(
        description="What the client hands to Alipay; null where another way is taken."
    )

    @classmethod
    def of(cls, started: StartedPayment) -> Self:
        payment = PaymentParameters.of(started.parameters) if started.parameters else None
        alipay = AlipayPaymentParameters.of(started.alipay) if started.alipay else None
        return cls(order=Order.of(started.order), payment=payment, alipay=alipay)


@strawberry.type(description="A face verification was begun.")
class StartFaceCheckSuccess:
    token: str = strawberry.field(description="Give this to `payRecharge` once the user has passed.")
    url: str = strawberry.field(description="Where the user goes through the verification.")
    expires_at: DateTime = strawberry.field(description="Until when the token can be used, once.")

    @classmethod
    def of(cls, started: StartedFaceCheck) -> Self:
        return cls(token=started.token, url=started.url, expires_at=DateTime(started.expires_at))


@strawberry.type(
    directives=[costs.WRITE], description="What became of one draft: an order, or the reason why there is none."
)
class SyncedDraft:
    client_id: str = strawberry.field(description="The client's own name for the draft.")
    order: Order | None = strawberry.field(description="The order, made now or by an earlier sync.")
    error: UserError | None = strawberry.field(description="Why there is no order, such as a `PriceChanged`.")

    @classmethod
    def of(cls, synced: Synced, locale: Locale) -> Self:
        error = to_user_error(synced.error, locale) if synced.error else None
        if synced.error and error is None:
            raise synced.error
        return cls(client_id=synced.client_id, order=Order.of(synced.order) if synced.order else None, error=error)


@strawberry.type(description="Every draft was looked at.")
class SyncDraftOrdersSuccess:
    results: list[SyncedDraft] = strawberry.field(
        directives=[costs.at_most(20)], description="What became of each, in the order of the drafts."
    )


@strawberry.type(description="The order was created, or was created before by the same key.")
class CreateRechargeSuccess:
    order: Order = strawberry.field(description="The order.")

    @classmethod
    def of(cls, created: Created) -> Self:
        order, card = created
        return cls(order=Order.of(order if card is None else of_new(order, card)))


@strawberry.type(description="The order is cancelled.")
class CancelRechargeSuccess:
    order: Order = strawberry.field(description="The order.")

    @classmethod
    def of(cls, row: RechargeOrder) -> Self:
        return cls(order=Order.of(row))
