"""What the viewer protects: the payment password, their own limits, and cards that they unbind."""

from __future__ import annotations

from typing import Self

import strawberry

from domain.account.rules import OwnLimits
from kernel.money import Money as Amount
from models.cards import FuelCard
from schema.types.cards import Card
from schema.types.money import Money
from schema.types.scalars import Yuan
from schema.types.step_up import grant_field

SIX_DIGITS = "Six digits: no repeats, no runs, no birthday, nothing out of the phone number."


@strawberry.input(description="The first payment password (支付密码).")
class SetPaymentPasswordInput:
    password: str = strawberry.field(description=SIX_DIGITS)
    step_up_grant: str | None = grant_field()


@strawberry.input(description="Another payment password in the place of one that the user knows.")
class ChangePaymentPasswordInput:
    current_password: str = strawberry.field(description="The one until now. Wrong ones count, and lock it.")
    password: str = strawberry.field(description=SIX_DIGITS)
    step_up_grant: str | None = grant_field()


@strawberry.input(description="Another payment password in the place of one that was forgotten, which ends its lock.")
class ResetPaymentPasswordInput:
    password: str = strawberry.field(description=SIX_DIGITS)
    step_up_grant: str | None = grant_field()


@strawberry.type(description="The payment password holds from now on: paying from the wallet takes it.")
class PaymentPasswordSuccess:
    has_payment_password: bool = strawberry.field(description="Whether there is one: always true here.")


@strawberry.type(description="The limits that the viewer has set themselves, beside those of the service.")
class SpendingLimits:
    per_recharge: Money | None = strawberry.field(description="The most of one recharge; null where there is none.")
    per_day: Money | None = strawberry.field(description="The most of one day, in China; null where there is none.")

    @classmethod
    def of(cls, own: OwnLimits) -> Self:
        return cls(per_recharge=_money(own.per_recharge_fen), per_day=_money(own.per_day_fen))


def _money(fen: int | None) -> Money | None:
    return Money.showing(Amount(fen)) if fen is not None else None


@strawberry.input(description="Both limits as they are to be. Raising either, or taking one away, takes a step-up.")
class SetSpendingLimitsInput:
    per_recharge: Yuan | None = strawberry.field(description="The most of one recharge; none if null.", default=None)
    per_day: Yuan | None = strawberry.field(description="The most of one day; none if null.", default=None)
    step_up_grant: str | None = grant_field()


@strawberry.type(description="The limits hold from the next order on.")
class SetSpendingLimitsSuccess:
    spending_limits: SpendingLimits = strawberry.field(description="What they are now.")

    @classmethod
    def of(cls, own: OwnLimits) -> Self:
        return cls(spending_limits=SpendingLimits.of(own))


@strawberry.input(description="A card to unbind.")
class UnbindCardInput:
    card_id: strawberry.ID = strawberry.field(description="A card of the viewer.")
    step_up_grant: str | None = grant_field()


@strawberry.type(description="The card is unbound. Its orders stay, and binding it again brings it back.")
class UnbindCardSuccess:
    card: Card = strawberry.field(description="What it was.")

    @classmethod
    def of(cls, row: FuelCard) -> Self:
        return cls(card=Card.of(row))
