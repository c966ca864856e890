"""What is insured, and what is claimed for it. For finance staff."""

from __future__ import annotations

from datetime import date
from typing import Self
from uuid import UUID

import strawberry

from models.funds import InsuranceClaim as ClaimRow
from models.funds import InsurancePolicy as PolicyRow
from schema.types import costs
from schema.types.context import Info
from schema.types.fund_enums import ClaimState, IncidentKind
from schema.types.funds import FundStoryStep, by, moment, money, story_of
from schema.types.money import Money
from schema.types.relay import Connection, global_id
from schema.types.scalars import DateTime, Yuan

# Which types of the schema an incident may be, by its kind.
INCIDENT_TYPES = {IncidentKind.ERROR_ENTRY: "LedgerError", IncidentKind.CASE: "Case"}


@strawberry.type(description="What an insurer covers, between two days. For finance staff.")
class InsurancePolicy:
    id: strawberry.ID = strawberry.field(description="Opaque and stable.")
    insurer: str = strawberry.field(description="Who insures.")
    number: str = strawberry.field(description="The insurer's number of it.")
    cover: Money = strawberry.field(description="The most that all its claims may bring.")
    deductible: Money = strawberry.field(description="What we bear ourselves of each incident.")
    premium: Money = strawberry.field(description="What it costs.")
    starts_on: date = strawberry.field(description="The first day in Asia/Shanghai.")
    ends_on: date = strawberry.field(description="The last day.")
    registered_by: str = strawberry.field(description="Who noted it.")
    registered_at: DateTime = strawberry.field(description="When.")

    @classmethod
    def of(cls, row: PolicyRow) -> Self:
        return cls(
            id=global_id("InsurancePolicy", row.id),
            insurer=row.insurer,
            number=row.number,
            cover=money(row.cover_fen),
            deductible=money(row.deductible_fen),
            premium=money(row.premium_fen),
            starts_on=row.starts_on,
            ends_on=row.ends_on,
            registered_by=by(row.registered_by) or "",
            registered_at=DateTime(row.created_at),
        )


@strawberry.type(description="What we want of an insurer for one incident. For finance staff.")
class InsuranceClaim:
    id: strawberry.ID = strawberry.field(description="Opaque and stable.")
    policy_id: strawberry.ID = strawberry.field(description="The policy.")
    incident_kind: IncidentKind = strawberry.field(description="What it is about.")
    incident_id: strawberry.ID = strawberry.field(description="The entry of the error ledger or the case.")
    state: ClaimState = strawberry.field(description="Where it stands.")
    version: int = strawberry.field(description="Counts every change; name it when you decide.")
    amount: Money = strawberry.field(description="What we claim.")
    accepted: Money | None = strawberry.field(description="What the insurer grants.")
    bank_reference: str | None = strawberry.field(description="The bank's number of what has arrived.")
    reason: str = strawberry.field(description="Why, in the words of whoever filed it.")
    filed_by: str = strawberry.field(description="Who filed it.")
    filed_at: DateTime = strawberry.field(description="When.")
    accepted_by: str | None = strawberry.field(description="Who noted what the insurer grants.")
    paid_by: str | None = strawberry.field(description="Who booked that it has arrived.")
    settled_at: DateTime | None = strawberry.field(description="When it was over.")
    key: strawberry.Private[UUID]

    @strawberry.field(directives=[costs.READ, costs.at_most(30)], description="What happened to it, oldest first.")
    async def story(self, info: Info) -> list[FundStoryStep]:
        return await story_of(info, self.key)

    @classmethod
    def of(cls, row: ClaimRow) -> Self:
        return cls(
            id=global_id("InsuranceClaim", row.id),
            policy_id=global_id("InsurancePolicy", row.policy_id),
            incident_kind=row.incident_kind,
            incident_id=global_id(INCIDENT_TYPES[row.incident_kind], row.incident_id),
            state=row.state,
            version=row.version,
            amount=money(row.amount_fen),
            accepted=None if row.accepted_fen is None else money(row.accepted_fen),
            bank_reference=row.bank_reference,
            reason=row.reason,
            filed_by=by(row.filed_by) or "",
            filed_at=DateTime(row.filed_at),
            accepted_by=by(row.accepted_by),
            paid_by=by(row.paid_by),
            settled_at=moment(row.settled_at),
            key=row.id,
        )


InsurancePolicyConnection = Connection[InsurancePolicy]
InsuranceClaimConnection = Connection[InsuranceClaim]


@strawberry.input(description="A policy to note.")
class RegisterInsurancePolicyInput:
    insurer: str = strawberry.field(description="Who insures.")
    number: str = strawberry.field(description="The insurer's number of it.")
    cover: Yuan = strawberry.field(description="The most that all its claims may bring.")
    deductible: Yuan = strawberry.field(description="What we bear ourselves of each incident; may be zero.")
    premium: Yuan = strawberry.field(description="What it costs; may be zero.")
    starts_on: date = strawberry.field(description="The first day in Asia/Shanghai.")
    ends_on: date = strawberry.field(description="The last day.")
    reason: str = strawberry.field(description="Why.")


@strawberry.input(description="What to claim.")
class FileInsuranceClaimInput:
    policy_id: strawberry.ID = strawberry.field(description="The policy.")
    incident_id: strawberry.ID = strawberry.field(description="A case, or an entry of the error ledger.")
    amount: Yuan = strawberry.field(description="How much, at most what it has cost beyond the deductible.")
    reason: str = strawberry.field(description="Why.")


@strawberry.input(description="What an insurer grants.")
class AcceptInsuranceClaimInput:
    claim_id: strawberry.ID = strawberry.field(description="The claim.")
    version: int = strawberry.field(description="The version that you have read.")
    amount: Yuan = strawberry.field(description="How much they grant.")
    reason: str = strawberry.field(description="Why, such as their letter.")


@strawberry.input(description="What has arrived of an insurer.")
class PayInsuranceClaimInput:
    claim_id: strawberry.ID = strawberry.field(description="The claim.")
    version: int = strawberry.field(description="The version that you have read; what has changed since is refused.")
    bank_reference: str = strawberry.field(description="The bank's number of what has arrived.")
    reason: str = strawberry.field(description="Why.")
    second_factor: str = strawberry.field(description="A code of your authenticator that has signed nothing yet.")


@strawberry.input(description="A claim that comes to nothing.")
class EndInsuranceClaimInput:
    claim_id: strawberry.ID = strawberry.field(description="The claim.")
    version: int = strawberry.field(description="The version that you have read.")
    reason: str = strawberry.field(description="Why.")


@strawberry.type(description="The policy as it was noted.")
class InsurancePolicySuccess:
    policy: InsurancePolicy = strawberry.field(description="The policy.")

    @classmethod
    def of(cls, row: PolicyRow) -> Self:
        return cls(policy=InsurancePolicy.of(row))


@strawberry.type(description="The claim as it stands now.")
class InsuranceClaimSuccess:
    claim: InsuranceClaim = strawberry.field(description="The claim.")

    @classmethod
    def of(cls, row: ClaimRow) -> Self:
        return cls(claim=InsuranceClaim.of(row))
