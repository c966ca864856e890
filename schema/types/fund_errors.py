"""What transfers, payees and claims refuse, apart from the other errors since those fill a file."""

from __future__ import annotations

from collections.abc import Callable

import strawberry

from domain.access.second_factor import SecondFactorRefused
from domain.funds import insurance, operations, payees
from domain.funds.lifecycle import StepNotPossible
from domain.funds.moving import EscrowInsufficient, TransferNotFound
from domain.funds.rules import PayeeInvalid, TransferAmountInvalid
from domain.funds.story import ApprovalStale
from kernel.errors import YoukaError
from schema.types.money import Money
from schema.types.user_error import UserError

# What is missing, what cannot be decided so, and amounts that cannot be, as the general errors tell it.
FUNDS_MISSING = (
    TransferNotFound,
    payees.PayeeNotFound,
    insurance.PolicyNotFound,
    insurance.IncidentNotFound,
    insurance.ClaimNotFound,
)
FUNDS_UNDECIDED = (
    StepNotPossible,
    operations.MovementUnderWay,
    payees.PayeeNotUsable,
    payees.PayeeKnown,
    PayeeInvalid,
    insurance.PolicyInvalid,
    insurance.PolicyKnown,
    insurance.IncidentNotCovered,
    insurance.ClaimKnown,
    insurance.BankReferenceInvalid,
)
FUNDS_AMOUNTS = (TransferAmountInvalid, insurance.ClaimAmountInvalid)


@strawberry.type(description="The code of the authenticator is wrong, or has signed something already.")
class SecondFactorError(UserError):
    pass


@strawberry.type(description="It has changed since it was read, so it was not approved; read it again.")
class StaleError(UserError):
    version: int = strawberry.field(description="The version that it is at now.")


@strawberry.type(description="The account does not hold enough, or must keep what it holds.")
class EscrowError(UserError):
    available: Money = strawberry.field(description="How much may leave it.")


def _second_factor(_error: YoukaError, **common: str) -> UserError:
    return SecondFactorError(**common)


def _stale(error: YoukaError, **common: str) -> UserError:
    return StaleError(version=error.values["version"], **common)


def _escrow(error: YoukaError, **common: str) -> UserError:
    return EscrowError(available=Money.showing(error.values["available"]), **common)


FUND_ERRORS: dict[type[YoukaError], Callable[..., UserError]] = {
    SecondFactorRefused: _second_factor,
    ApprovalStale: _stale,
    EscrowInsufficient: _escrow,
    operations.ReserveTooLow: _escrow,
}
