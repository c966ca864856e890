"""Money in escrow, transfers by the bank, and whom they may go to. For finance staff."""

from __future__ import annotations

from datetime import date, datetime
from typing import Self
from uuid import UUID

import strawberry

from domain.funds.queries import Position
from kernel.money import Money as Amount
from models.funds import FundPayee, FundSettlement, FundStep, FundSweep, FundTransfer
from schema.types import costs
from schema.types.context import Info
from schema.types.fund_enums import FundStepKind, PayeeKind, PayeeState, TransferKind, TransferState
from schema.types.money import Money
from schema.types.relay import Connection, global_id
from schema.types.scalars import DateTime


def money(fen: int) -> Money:
    return Money.showing(Amount(fen))


def moment(value: datetime | None) -> DateTime | None:
    return DateTime(value) if value is not None else None


def by(staff_id: UUID | None) -> str | None:
    """Name a member of staff as every record does."""
    return f"staff:{staff_id}" if staff_id else None


@strawberry.type(description="One line of the story of a transfer, payee, policy or claim.")
class FundStoryStep:
    step: FundStepKind = strawberry.field(description="What happened.")
    version: int = strawberry.field(description="The version that it made.")
    from_state: str | None = strawberry.field(description="Where it stood before; null at the beginning.")
    to_state: str = strawberry.field(description="Where it stood afterwards.")
    actor: str = strawberry.field(description="Who: `staff:` and an id, or `system`.")
    signed: bool = strawberry.field(description="Whether it was signed with a code of their authenticator.")
    reason: str = strawberry.field(description="Why, in their words.")
    at: DateTime = strawberry.field(description="When.")

    @classmethod
    def of(cls, row: FundStep) -> Self:
        return cls(
            step=row.step,
            version=row.version,
            from_state=row.from_state,
            to_state=row.to_state,
            actor=by(row.staff_id) or "system",
            signed=row.second_factor_step is not None,
            reason=row.reason,
            at=DateTime(row.occurred_at),
        )


async def story_of(info: Info, key: UUID) -> list[FundStoryStep]:
    return [FundStoryStep.of(row) for row in await info.context.loaders.fund_stories.load(key)]


@strawberry.type(description="A bank account that withdrawals may go to once two people have let it in. For finance.")
class Payee:
    id: strawberry.ID = strawberry.field(description="Opaque and stable.")
    kind: PayeeKind = strawberry.field(description="What it is paid for.")
    party: str = strawberry.field(description="The issuer's, merchant's or company's name in our books.")
    name: str = strawberry.field(description="Who holds the account.")
    bank_code: str = strawberry.field(description="The branch of the bank (联行号).")
    account: str = strawberry.field(description="The number, of which only the end is shown.")
    state: PayeeState = strawberry.field(description="Where it stands.")
    version: int = strawberry.field(description="Counts every change; name it when you approve.")
    reason: str = strawberry.field(description="Why, in the words of whoever proposed.")
    proposed_by: str = strawberry.field(description="Who registered it.")
    proposed_at: DateTime = strawberry.field(description="When.")
    approved_by: str | None = strawberry.field(description="Who let it in.")
    key: strawberry.Private[UUID]

    @strawberry.field(directives=[costs.READ, costs.at_most(30)], description="What happened to it, oldest first.")
    async def story(self, info: Info) -> list[FundStoryStep]:
        return await story_of(info, self.key)

    @classmethod
    def of(cls, row: FundPayee) -> Self:
        return cls(
            id=global_id("Payee", row.id),
            kind=row.kind,
            party=row.party,
            name=row.name,
            bank_code=row.bank_code,
            account=row.account_masked,
            state=row.state,
            version=row.version,
            reason=row.reason,
            proposed_by=by(row.proposed_by) or "",
            proposed_at=DateTime(row.proposed_at),
            approved_by=by(row.approved_by),
            key=row.id,
        )


@strawberry.type(description="A transfer out of one of our escrow accounts. For finance staff.")
class Transfer:
    id: strawberry.ID = strawberry.field(description="Opaque and stable.")
    kind: TransferKind = strawberry.field(description="Where it goes.")
    reference: str = strawberry.field(description="What the bank knows it by.")
    state: TransferState = strawberry.field(description="Where it stands.")
    version: int = strawberry.field(description="Counts every change; name it when you approve.")
    amount: Money = strawberry.field(description="How much.")
    source_account: str = strawberry.field(description="The account of our ledger that it leaves.")
    target_account: str = strawberry.field(description="The account of our ledger that it is booked to.")
    needs_director: bool = strawberry.field(description="Whether the finance director must agree as well.")
    reason: str = strawberry.field(description="Why, in the words of whoever proposed.")
    proposed_by: str | None = strawberry.field(description="Who proposed it; null where the rule of the sweep did.")
    proposed_at: DateTime = strawberry.field(description="When.")
    checked_by: str | None = strawberry.field(description="The second person.")
    directed_by: str | None = strawberry.field(description="The finance director.")
    expires_at: DateTime = strawberry.field(description="When it is given up if nobody has agreed.")
    sent_at: DateTime | None = strawberry.field(description="When the bank was told.")
    settled_at: DateTime | None = strawberry.field(description="When the bank said what became of it.")
    bank_reference: str | None = strawberry.field(description="The bank's own number of it.")
    failure: str | None = strawberry.field(description="Why the bank has refused it.")
    key: strawberry.Private[UUID]
    payee_key: strawberry.Private[UUID | None]

    @strawberry.field(directives=[costs.READ], description="Whom it pays; null between our own accounts.")
    async def payee(self, info: Info) -> Payee | None:
        return Payee.of(await info.context.loaders.payees.load(self.payee_key)) if self.payee_key else None

    @strawberry.field(directives=[costs.READ, costs.at_most(30)], description="What happened to it, oldest first.")
    async def story(self, info: Info) -> list[FundStoryStep]:
        return await story_of(info, self.key)

    @classmethod
    def of(cls, row: FundTransfer) -> Self:
        return cls(
            id=global_id("Transfer", row.id),
            kind=row.kind,
            reference=row.reference,
            state=row.state,
            version=row.version,
            amount=money(row.amount_fen),
            source_account=row.source_account,
            target_account=row.target_account,
            needs_director=row.needs_director,
            reason=row.reason,
            proposed_by=by(row.proposed_by),
            proposed_at=DateTime(row.proposed_at),
            checked_by=by(row.checked_by),
            directed_by=by(row.directed_by),
            expires_at=DateTime(row.expires_at),
            sent_at=moment(row.sent_at),
            settled_at=moment(row.settled_at),
            bank_reference=row.bank_reference,
            failure=row.failure,
            key=row.id,
            payee_key=row.payee_id,
        )


@strawberry.type(
    description="What a sweep found and did: the day's own, or one behind a settlement. For finance staff."
)
class Sweep:
    id: strawberry.ID = strawberry.field(description="Opaque and stable.")
    business_day: date = strawberry.field(description="The day in Asia/Shanghai.")
    forecast: Money | None = strawberry.field(description="What the day was to take; null without a history.")
    operating: Money = strawberry.field(description="What lay in the operating account.")
    reserve: Money = strawberry.field(description="What lay in the reserve, or was on its way there.")
    target: Money = strawberry.field(description="What should lie in the operating account.")
    amount: Money = strawberry.field(description="What it moves: into the reserve, or out of it where negative.")
    swept_at: DateTime = strawberry.field(description="When.")

    @classmethod
    def of(cls, row: FundSweep) -> Self:
        return cls(
            id=global_id("Sweep", row.id),
            business_day=row.business_day,
            forecast=None if row.forecast_fen is None else money(row.forecast_fen),
            operating=money(row.operating_fen),
            reserve=money(row.reserve_fen),
            target=money(row.target_fen),
            amount=money(row.amount_fen),
            swept_at=DateTime(row.occurred_at),
        )


@strawberry.type(description="What a channel has paid out for one merchant and day of trade. For finance staff.")
class Settlement:
    id: strawberry.ID = strawberry.field(description="Opaque and stable.")
    channel: str = strawberry.field(description="The channel.")
    sub_mchid: str = strawberry.field(description="The merchant at the channel.")
    business_day: date = strawberry.field(description="The day of trade in Asia/Shanghai.")
    reference: str = strawberry.field(description="What it is known by in our books and in the bank's flow.")
    gross: Money = strawberry.field(description="What the day's bill has cleared.")
    fee: Money = strawberry.field(description="What the channel has kept of it.")
    arrived: Money = strawberry.field(description="What the bank has of it; another amount stands in suspense.")
    booked_at: DateTime = strawberry.field(description="When it was booked.")

    @classmethod
    def of(cls, row: FundSettlement) -> Self:
        return cls(
            id=global_id("Settlement", row.id),
            channel=row.channel,
            sub_mchid=row.sub_mchid,
            business_day=row.business_day,
            reference=row.reference,
            gross=money(row.gross_fen),
            fee=money(row.fee_fen),
            arrived=money(row.arrived_fen),
            booked_at=DateTime(row.occurred_at),
        )


@strawberry.type(description="What lies in escrow now, and what the rule says of it. For finance staff.")
class EscrowPosition:
    operating: Money = strawberry.field(description="Free in the operating account.")
    reserve: Money = strawberry.field(description="Free in the reserve.")
    withdrawing: Money = strawberry.field(description="Set aside for withdrawals.")
    to_reserve: Money = strawberry.field(description="On its way into the reserve.")
    from_reserve: Money = strawberry.field(description="Set aside to leave the reserve.")
    total: Money = strawberry.field(description="All of it but for what is set aside for withdrawals.")
    reserve_minimum: Money = strawberry.field(description="The least that the reserve must have of that.")
    reserve_minimum_basis_points: int = strawberry.field(description="The same as a share, in ten-thousandths.")
    keeps_the_reserve: bool = strawberry.field(description="Whether it has, with what is on its way there.")
    forecast: Money | None = strawberry.field(description="What today is to take; null without a history.")
    last_sweep: Sweep | None = strawberry.field(description="The sweep of the latest day.")

    @classmethod
    def of(cls, found: Position) -> Self:
        escrow = found.escrow
        return cls(
            operating=money(escrow.operating_fen),
            reserve=money(escrow.reserve_fen),
            withdrawing=money(escrow.withdrawing_fen),
            to_reserve=money(escrow.to_reserve_fen),
            from_reserve=money(escrow.from_reserve_fen),
            total=money(escrow.total_fen),
            reserve_minimum=money(found.reserve_min_fen),
            reserve_minimum_basis_points=found.reserve_min_basis_points,
            keeps_the_reserve=found.keeps_the_reserve,
            forecast=None if found.forecast_fen is None else money(found.forecast_fen),
            last_sweep=Sweep.of(found.last_sweep) if found.last_sweep else None,
        )


TransferConnection = Connection[Transfer]
PayeeConnection = Connection[Payee]
SettlementConnection = Connection[Settlement]
SweepConnection = Connection[Sweep]


@strawberry.type(description="The transfer as it stands now.")
class TransferSuccess:
    transfer: Transfer = strawberry.field(description="The transfer.")

    @classmethod
    def of(cls, row: FundTransfer) -> Self:
        return cls(transfer=Transfer.of(row))


@strawberry.type(description="The payee as it stands now.")
class PayeeSuccess:
    payee: Payee = strawberry.field(description="The payee.")

    @classmethod
    def of(cls, row: FundPayee) -> Self:
        return cls(payee=Payee.of(row))
