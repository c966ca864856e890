"""The viewer's wallet and how money gets into it."""

from __future__ import annotations

from typing import Self

import strawberry

from domain.payments.top_ups import StartedTopUp
from kernel.money import Money as Amount
from models.payments import WalletTopUp
from schema.types.enums import PaymentState
from schema.types.money import Money
from schema.types.orders import IDEMPOTENCY_KEY, PaymentParameters
from schema.types.relay import Connection, Node, global_id
from schema.types.scalars import DateTime, Yuan


@strawberry.type(description="Money that the viewer pays into the wallet.")
class TopUp(Node):
    amount: Money = strawberry.field(description="How much.")
    state: PaymentState = strawberry.field(description="Whether it is paid.")
    pay_deadline_at: DateTime = strawberry.field(description="Until when it can be paid.")
    created_at: DateTime = strawberry.field(description="When it was begun.")

    @classmethod
    def of(cls, row: WalletTopUp) -> Self:
        return cls(
            id=global_id("TopUp", row.id),
            amount=Money.showing(Amount(row.amount_fen)),
            state=row.state,
            pay_deadline_at=DateTime(row.pay_deadline_at),
            created_at=DateTime(row.created_at),
        )


TopUpConnection = Connection[TopUp]


@strawberry.input(description="Money to pay into the wallet.")
class TopUpWalletInput:
    amount: Yuan = strawberry.field(description="How much.")
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY_KEY)


@strawberry.type(description="A payment into the wallet was started, or was started before by the same key.")
class TopUpWalletSuccess:
    top_up: TopUp = strawberry.field(description="The payment into the wallet.")
    payment: PaymentParameters | None = strawberry.field(
        description="What the client hands to the payment channel; null where it is settled already."
    )

    @classmethod
    def of(cls, started: StartedTopUp) -> Self:
        payment = PaymentParameters.of(started.parameters) if started.parameters else None
        return cls(top_up=TopUp.of(started.top_up), payment=payment)
