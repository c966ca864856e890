"""What finance staff send about transfers and payees."""

from __future__ import annotations

import strawberry

from schema.types.fund_enums import PayeeKind
from schema.types.scalars import Yuan

IDEMPOTENCY = "8 to 64 visible ASCII characters; the same key with the same wish returns the first transfer."
VERSION = "The version that you have read; what has changed since is refused."
CODE = "A code of your authenticator that has signed nothing yet."


@strawberry.input(description="A withdrawal to propose.")
class ProposeWithdrawalInput:
    payee_id: strawberry.ID = strawberry.field(description="Whom to pay.")
    amount: Yuan = strawberry.field(description="How much.")
    reason: str = strawberry.field(description="Why.")
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY)


@strawberry.input(description="What a withdrawal should be instead; its approvals are void with that.")
class AmendWithdrawalInput:
    transfer_id: strawberry.ID = strawberry.field(description="The withdrawal, which you have proposed.")
    version: int = strawberry.field(description=VERSION)
    payee_id: strawberry.ID = strawberry.field(description="Whom to pay.")
    amount: Yuan = strawberry.field(description="How much.")
    reason: str = strawberry.field(description="Why.")


@strawberry.input(description="A movement out of the reserve to propose.")
class ProposeReserveReleaseInput:
    amount: Yuan = strawberry.field(description="How much.")
    reason: str = strawberry.field(description="Why.")
    idempotency_key: str = strawberry.field(description=IDEMPOTENCY)


@strawberry.input(description="A decision about a transfer that somebody else has proposed.")
class DecideTransferInput:
    transfer_id: strawberry.ID = strawberry.field(description="The transfer.")
    version: int = strawberry.field(description=VERSION)
    reason: str = strawberry.field(description="Why.")
    second_factor: str = strawberry.field(description=CODE)


@strawberry.input(description="A transfer that its maker takes back.")
class WithdrawTransferInput:
    transfer_id: strawberry.ID = strawberry.field(description="The transfer, which you have proposed.")
    version: int = strawberry.field(description=VERSION)
    reason: str = strawberry.field(description="Why.")


@strawberry.input(description="A bank account to register.")
class ProposePayeeInput:
    kind: PayeeKind = strawberry.field(description="What it is paid for.")
    party: str = strawberry.field(description="The issuer's, merchant's or company's name in our books.")
    name: str = strawberry.field(description="Who holds the account.")
    bank_code: str = strawberry.field(description="The branch of the bank (联行号): 12 digits.")
    account_number: str = strawberry.field(description="The number: 8 to 30 digits. It is sealed and never shown.")
    reason: str = strawberry.field(description="Why.")


@strawberry.input(description="A decision about a bank account that somebody else has registered.")
class DecidePayeeInput:
    payee_id: strawberry.ID = strawberry.field(description="The payee.")
    version: int = strawberry.field(description=VERSION)
    reason: str = strawberry.field(description="Why.")
    second_factor: str = strawberry.field(description=CODE)


@strawberry.input(description="A bank account that nothing more may go to.")
class RevokePayeeInput:
    payee_id: strawberry.ID = strawberry.field(description="The payee.")
    version: int = strawberry.field(description=VERSION)
    reason: str = strawberry.field(description="Why.")
