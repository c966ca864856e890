"""What finance staff note of policies and claims. Each of these asks first who they are."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry

from domain.funds import insurance, queries
from domain.funds.lifecycle import EITHER
from resolvers.approving import signature
from resolvers.funds import maker, page_for_finance
from resolvers.payloads import payload
from schema.types.context import Info
from schema.types.fund_enums import ClaimState, IncidentKind
from schema.types.fund_payloads import (
    FileInsuranceClaimPayload,
    InsuranceClaimPayload,
    PayInsuranceClaimPayload,
    RegisterInsurancePolicyPayload,
)
from schema.types.inputs import Given
from schema.types.insurance import (
    INCIDENT_TYPES,
    AcceptInsuranceClaimInput,
    EndInsuranceClaimInput,
    FileInsuranceClaimInput,
    InsuranceClaim,
    InsuranceClaimConnection,
    InsuranceClaimSuccess,
    InsurancePolicy,
    InsurancePolicyConnection,
    InsurancePolicySuccess,
    PayInsuranceClaimInput,
    RegisterInsurancePolicyInput,
)
from schema.types.prices import After, First
from schema.types.relay import key_of, parse_global_id

InStates = Annotated[list[ClaimState] | None, strawberry.argument(description="Only in these states.")]
OfPolicy = Annotated[strawberry.ID | None, strawberry.argument(description="Only of this policy.")]
# The id of no policy, which nothing is found by.
NOBODY = UUID(int=0)
INCIDENT_KINDS = {name: kind for kind, name in INCIDENT_TYPES.items()}


async def insurance_policies(info: Info, first: First = 20, after: After = None) -> InsurancePolicyConnection:
    page = await page_for_finance(info, first, after)
    return page.connection(await queries.some_policies(first=page.limit, after=page.after_id), InsurancePolicy.of)


async def insurance_claims(
    info: Info, policy_id: OfPolicy = None, states: InStates = None, first: First = 20, after: After = None
) -> InsuranceClaimConnection:
    page = await page_for_finance(info, first, after)
    policy = (key_of(policy_id, "InsurancePolicy") or NOBODY) if policy_id else None
    rows = await queries.some_claims(states=states, policy_id=policy, first=page.limit, after=page.after_id)
    return page.connection(rows, InsuranceClaim.of)


@payload
async def register_insurance_policy(
    info: Info, input: Given[RegisterInsurancePolicyInput]
) -> RegisterInsurancePolicyPayload:
    row = await insurance.register_policy(
        staff=await maker(info),
        insurer=input.insurer,
        number=input.number,
        cover=input.cover,
        deductible=input.deductible,
        premium=input.premium,
        starts_on=input.starts_on,
        ends_on=input.ends_on,
        reason=input.reason,
        now=info.context.now,
    )
    return InsurancePolicySuccess.of(row)


@payload
async def file_insurance_claim(info: Info, input: Given[FileInsuranceClaimInput]) -> FileInsuranceClaimPayload:
    row = await insurance.file_claim(
        staff=await maker(info),
        policy_id=key_of(input.policy_id, "InsurancePolicy"),
        incident=_incident(input.incident_id),
        yuan=input.amount,
        reason=input.reason,
        now=info.context.now,
    )
    return InsuranceClaimSuccess.of(row)


@payload
async def accept_insurance_claim(info: Info, input: Given[AcceptInsuranceClaimInput]) -> InsuranceClaimPayload:
    row = await insurance.accept_claim(
        staff=await maker(info),
        claim_id=key_of(input.claim_id, "InsuranceClaim"),
        version=input.version,
        yuan=input.amount,
        reason=input.reason,
        now=info.context.now,
    )
    return InsuranceClaimSuccess.of(row)


@payload
async def pay_insurance_claim(info: Info, input: Given[PayInsuranceClaimInput]) -> PayInsuranceClaimPayload:
    row = await insurance.pay_claim(
        signature=await signature(info, input.second_factor, EITHER),
        claim_id=key_of(input.claim_id, "InsuranceClaim"),
        version=input.version,
        bank_reference=input.bank_reference,
        reason=input.reason,
        now=info.context.now,
    )
    return InsuranceClaimSuccess.of(row)


@payload
async def reject_insurance_claim(info: Info, input: Given[EndInsuranceClaimInput]) -> InsuranceClaimPayload:
    row = await insurance.reject_claim(
        staff=await maker(info),
        claim_id=key_of(input.claim_id, "InsuranceClaim"),
        version=input.version,
        reason=input.reason,
        now=info.context.now,
    )
    return InsuranceClaimSuccess.of(row)


@payload
async def withdraw_insurance_claim(info: Info, input: Given[EndInsuranceClaimInput]) -> InsuranceClaimPayload:
    row = await insurance.withdraw_claim(
        staff=await maker(info),
        claim_id=key_of(input.claim_id, "InsuranceClaim"),
        version=input.version,
        reason=input.reason,
        now=info.context.now,
    )
    return InsuranceClaimSuccess.of(row)


def _incident(value: str) -> tuple[IncidentKind, UUID] | None:
    name, key = parse_global_id(value) or ("", None)
    kind = INCIDENT_KINDS.get(name)
    return (kind, key) if kind and key else None
