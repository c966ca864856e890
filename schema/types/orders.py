"""Recharge orders as clients see them."""

from __future__ import annotations

from typing import Self
from uuid import UUID

import strawberry

from domain.identity.staff import is_staff
from domain.orders.drafts import Synced
from domain.orders.face_checks import StartedFaceCheck
from domain.orders.paying import StartedPayment
from domain.payments.ports import PaymentParameters as Parameters
from kernel.errors import Locale
from kernel.money import Money as Amount
from models.orders import OrderTransition, RechargeOrder
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
from schema.types.errors import UserError, to_user_error
from schema.types.money import Money
from schema.types.offers import Offer
from schema.types.relay import Connection, Node, global_id
from schema.types.scalars import DateTime, Yuan

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
    actor: str | None = strawberry.field(description="Who exactly; for staff, and null to others.")
    reason: str | None = strawberry.field(description="Why, in the words of whoever acted; for staff, null to others.")
    request_id: str | None = strawberry.field(description="The request that caused it; for staff, null to others.")

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


@strawberry.type(description="One recharge of one card.")
class Order(Node):
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
    key: strawberry.Private[UUID]
    card_id: strawberry.Private[UUID]
    offer_id: strawberry.Private[UUID | None]

    @strawberry.field(description="The card that is recharged.")
    async def card(self, info: Info) -> Card:
        return Card.of(await info.context.loaders.cards.load(self.card_id))

    @strawberry.field(description="The offer that was taken, if one was.")
    async def offer(self, info: Info) -> Offer | None:
        row = await info.context.loaders.offers.load(self.offer_id) if self.offer_id else None
        return Offer.of(row) if row else None

    @strawberry.field(description="Every step that the order has taken, oldest first.")
    async def story(self, info: Info) -> list[OrderStep]:
        whole = is_staff(info.context.viewer)
        return [OrderStep.of(row, whole=whole) for row in await info.context.loaders.stories.load(self.key)]

    @classmethod
    def of(cls, row: RechargeOrder) -> Self:
        return cls(
            id=global_id("Order", row.id),
            state=row.state,
            amount=Money.of(Amount(row.amount_fen)),
            price=Money.of(Amount(row.price_fen)),
            failure_kind=row.failure_kind,
            refund_state=row.refund_state,
            review_state=row.review_state,
            review_reason=row.review_reason,
            pay_deadline_at=DateTime(row.pay_deadline_at),
            created_at=DateTime(row.created_at),
            updated_at=DateTime(row.updated_at),
            key=row.id,
            card_id=row.card_id,
            offer_id=row.offer_id,
        )


OrderConnection = Connection[Order]

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
    face_token: str | None = strawberry.field(
        description="The token of a passed face verification, where `reviewState` is REQUIRED.", default=None
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


@strawberry.type(description="A payment was started.")
class PayRechargeSuccess:
    order: Order = strawberry.field(description="The order, now being paid.")
    payment: PaymentParameters | None = strawberry.field(
        description="What the client hands to the payment channel; null where the wallet has paid."
    )

    @classmethod
    def of(cls, started: StartedPayment) -> Self:
        payment = PaymentParameters.of(started.parameters) if started.parameters else None
        return cls(order=Order.of(started.order), payment=payment)


@strawberry.type(description="A face verification was begun.")
class StartFaceCheckSuccess:
    token: str = strawberry.field(description="Give this to `payRecharge` once the user has passed.")
    url: str = strawberry.field(description="Where the user goes through the verification.")
    expires_at: DateTime = strawberry.field(description="Until when the token can be used, once.")

    @classmethod
    def of(cls, started: StartedFaceCheck) -> Self:
        return cls(token=started.token, url=started.url, expires_at=DateTime(started.expires_at))


@strawberry.type(description="What became of one draft: an order, or the reason why there is none.")
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
    results: list[SyncedDraft] = strawberry.field(description="What became of each, in the order of the drafts.")


@strawberry.type(description="The order was created, or was created before by the same key.")
class CreateRechargeSuccess:
    order: Order = strawberry.field(description="The order.")

    @classmethod
    def of(cls, row: RechargeOrder) -> Self:
        return cls(order=Order.of(row))


@strawberry.type(description="The order is cancelled.")
class CancelRechargeSuccess:
    order: Order = strawberry.field(description="The order.")

    @classmethod
    def of(cls, row: RechargeOrder) -> Self:
        return cls(order=Order.of(row))
