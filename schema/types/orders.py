"""Recharge orders as clients see them."""

from __future__ import annotations

from typing import Self
from uuid import UUID

import strawberry

from domain.orders.paying import StartedPayment
from domain.payments.ports import PaymentParameters as Parameters
from kernel.money import Money as Amount
from models.orders import RechargeOrder
from schema.types.cards import Card
from schema.types.context import Info
from schema.types.enums import FailureKind, OrderState, RefundState
from schema.types.money import Money
from schema.types.relay import Connection, Node, global_id
from schema.types.scalars import DateTime, Yuan


@strawberry.type(description="One recharge of one card.")
class Order(Node):
    state: OrderState = strawberry.field(description="Where the order stands.")
    amount: Money = strawberry.field(description="What is paid, and what arrives on the card.")
    failure_kind: FailureKind | None = strawberry.field(description="Why the order failed, where it did.")
    refund_state: RefundState = strawberry.field(description="Where the money of a failed order is.")
    pay_deadline_at: DateTime = strawberry.field(description="Until when the order can be paid.")
    created_at: DateTime = strawberry.field(description="When the order was created.")
    updated_at: DateTime = strawberry.field(description="When the order last changed.")
    card_id: strawberry.Private[UUID]

    @strawberry.field(description="The card that is recharged.")
    async def card(self, info: Info) -> Card:
        return Card.of(await info.context.loaders.cards.load(self.card_id))

    @classmethod
    def of(cls, row: RechargeOrder) -> Self:
        return cls(
            id=global_id("Order", row.id),
            state=row.state,
            amount=Money.of(Amount(row.amount_fen)),
            failure_kind=row.failure_kind,
            refund_state=row.refund_state,
            pay_deadline_at=DateTime(row.pay_deadline_at),
            created_at=DateTime(row.created_at),
            updated_at=DateTime(row.updated_at),
            card_id=row.card_id,
        )


OrderConnection = Connection[Order]

IDEMPOTENCY_KEY = (
    "8 to 64 visible ASCII characters, new for each intent. The same key with the same input gives the first result "
    "again, so a request whose answer was lost can be repeated safely."
)


@strawberry.input(description="A recharge to order.")
class CreateRechargeInput:
    card_id: strawberry.ID = strawberry.field(description="The card to recharge.")
    amount: Yuan = strawberry.field(description="How much to recharge.")
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY_KEY)


@strawberry.input(description="An order to pay.")
class PayRechargeInput:
    order_id: strawberry.ID = strawberry.field(description="The order to pay.")
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY_KEY)


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
    payment: PaymentParameters = strawberry.field(description="What the client hands to the payment channel.")

    @classmethod
    def of(cls, started: StartedPayment) -> Self:
        return cls(order=Order.of(started.order), payment=PaymentParameters.of(started.parameters))


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
