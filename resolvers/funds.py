"""What finance staff and auditors see of escrow, and finance staff decide about transfers and payees. Each of
these asks first who they are."""

from __future__ import annotations

from typing import Annotated

import strawberry

from domain.funds import operations, payees, queries
from domain.funds.lifecycle import DIRECTORS, EITHER, MAKERS
from domain.funds.policy import Policy
from domain.identity import staff
from domain.identity.staff import Staff
from resolvers.approving import signature
from resolvers.operators import member_of
from resolvers.payloads import payload
from schema.types import requirements as allowed
from schema.types.context import Info
from schema.types.fund_enums import PayeeState, TransferKind, TransferState
from schema.types.fund_inputs import (
    AmendWithdrawalInput,
    DecidePayeeInput,
    DecideTransferInput,
    ProposePayeeInput,
    ProposeReserveReleaseInput,
    ProposeWithdrawalInput,
    RevokePayeeInput,
    WithdrawTransferInput,
)
from schema.types.fund_payloads import (
    AmendTransferPayload,
    DecidePayeePayload,
    DecideTransferPayload,
    ProposePayeePayload,
    ProposeTransferPayload,
    RevokePayeePayload,
    WithdrawTransferPayload,
)
from schema.types.funds import (
    EscrowPosition,
    Payee,
    PayeeConnection,
    PayeeSuccess,
    Settlement,
    SettlementConnection,
    Sweep,
    SweepConnection,
    Transfer,
    TransferConnection,
    TransferSuccess,
)
from schema.types.inputs import Given
from schema.types.prices import After, First
from schema.types.refusals import refusals
from schema.types.relay import Page, key_of

OfKinds = Annotated[list[TransferKind] | None, strawberry.argument(description="Only of these kinds.")]
InTransferStates = Annotated[list[TransferState] | None, strawberry.argument(description="Only in these states.")]
InPayeeStates = Annotated[list[PayeeState] | None, strawberry.argument(description="Only in these states.")]


async def maker(info: Info) -> Staff:
    return await staff.require(viewer=info.context.signed_in, roles=MAKERS)


async def page_for_finance(info: Info, first: int, after: str | None) -> Page:
    """Return the page, for whoever may read the books. Raises what the refusal of a query is."""
    page = Page.of(first, after, maximum=info.context.services.settings.page_size_max)
    with refusals(info):
        await member_of(info, allowed.SEES_BOOKS)
    return page


def policy_of(info: Info) -> Policy:
    return Policy.of(info.context.services.settings)


async def escrow_position(info: Info) -> EscrowPosition:
    with refusals(info):
        await member_of(info, allowed.SEES_BOOKS)
    return EscrowPosition.of(await queries.position(policy=policy_of(info), now=info.context.now))


async def transfers(
    info: Info, kinds: OfKinds = None, states: InTransferStates = None, first: First = 20, after: After = None
) -> TransferConnection:
    page = await page_for_finance(info, first, after)
    rows = await queries.some_transfers(kinds=kinds, states=states, first=page.limit, after=page.after_id)
    return page.connection(rows, Transfer.of)


async def registered_payees(
    info: Info, states: InPayeeStates = None, first: First = 20, after: After = None
) -> PayeeConnection:
    page = await page_for_finance(info, first, after)
    rows = await queries.some_payees(states=states, first=page.limit, after=page.after_id)
    return page.connection(rows, Payee.of)


async def settlements(info: Info, first: First = 20, after: After = None) -> SettlementConnection:
    page = await page_for_finance(info, first, after)
    rows = await queries.some_settlements(first=page.limit, after=page.after_id)
    return page.connection(rows, Settlement.of)


async def sweeps(info: Info, first: First = 20, after: After = None) -> SweepConnection:
    page = await page_for_finance(info, first, after)
    return page.connection(await queries.some_sweeps(first=page.limit, after=page.after_id), Sweep.of)


@payload
async def propose_withdrawal(info: Info, input: Given[ProposeWithdrawalInput]) -> ProposeTransferPayload:
    row = await operations.propose_withdrawal(
        staff=await maker(info),
        payee_id=key_of(input.payee_id, "Payee"),
        yuan=input.amount,
        reason=input.reason,
        key=input.idempotency_key,
        policy=policy_of(info),
        now=info.context.now,
    )
    return TransferSuccess.of(row)


@payload
async def propose_reserve_release(info: Info, input: Given[ProposeReserveReleaseInput]) -> ProposeTransferPayload:
    row = await operations.propose_release(
        staff=await maker(info),
        yuan=input.amount,
        reason=input.reason,
        key=input.idempotency_key,
        policy=policy_of(info),
        now=info.context.now,
    )
    return TransferSuccess.of(row)


@payload
async def amend_withdrawal(info: Info, input: Given[AmendWithdrawalInput]) -> AmendTransferPayload:
    row = await operations.amend_withdrawal(
        staff=await maker(info),
        transfer_id=key_of(input.transfer_id, "Transfer"),
        version=input.version,
        payee_id=key_of(input.payee_id, "Payee"),
        yuan=input.amount,
        reason=input.reason,
        policy=policy_of(info),
        now=info.context.now,
    )
    return TransferSuccess.of(row)


@payload
async def check_transfer(info: Info, input: Given[DecideTransferInput]) -> DecideTransferPayload:
    row = await operations.check(
        signature=await signature(info, input.second_factor, MAKERS),
        transfer_id=key_of(input.transfer_id, "Transfer"),
        version=input.version,
        reason=input.reason,
        now=info.context.now,
    )
    return TransferSuccess.of(row)


@payload
async def approve_transfer_as_director(info: Info, input: Given[DecideTransferInput]) -> DecideTransferPayload:
    row = await operations.direct(
        signature=await signature(info, input.second_factor, DIRECTORS),
        transfer_id=key_of(input.transfer_id, "Transfer"),
        version=input.version,
        reason=input.reason,
        now=info.context.now,
    )
    return TransferSuccess.of(row)


@payload
async def reject_transfer(info: Info, input: Given[DecideTransferInput]) -> DecideTransferPayload:
    row = await operations.reject(
        signature=await signature(info, input.second_factor, EITHER),
        transfer_id=key_of(input.transfer_id, "Transfer"),
        version=input.version,
        reason=input.reason,
        now=info.context.now,
    )
    return TransferSuccess.of(row)


@payload
async def withdraw_transfer(info: Info, input: Given[WithdrawTransferInput]) -> WithdrawTransferPayload:
    row = await operations.withdraw(
        staff=await maker(info),
        transfer_id=key_of(input.transfer_id, "Transfer"),
        version=input.version,
        reason=input.reason,
        now=info.context.now,
    )
    return TransferSuccess.of(row)


@payload
async def propose_payee(info: Info, input: Given[ProposePayeeInput]) -> ProposePayeePayload:
    row = await payees.propose(
        staff=await maker(info),
        kind=input.kind,
        party=input.party,
        name=input.name,
        bank_code=input.bank_code,
        account_number=input.account_number,
        reason=input.reason,
        sealer=info.context.services.sealer,
        now=info.context.now,
    )
    return PayeeSuccess.of(row)


@payload
async def approve_payee(info: Info, input: Given[DecidePayeeInput]) -> DecidePayeePayload:
    row = await payees.approve(
        signature=await signature(info, input.second_factor, EITHER),
        payee_id=key_of(input.payee_id, "Payee"),
        version=input.version,
        reason=input.reason,
        now=info.context.now,
    )
    return PayeeSuccess.of(row)


@payload
async def reject_payee(info: Info, input: Given[DecidePayeeInput]) -> DecidePayeePayload:
    row = await payees.reject(
        signature=await signature(info, input.second_factor, EITHER),
        payee_id=key_of(input.payee_id, "Payee"),
        version=input.version,
        reason=input.reason,
        now=info.context.now,
    )
    return PayeeSuccess.of(row)


@payload
async def revoke_payee(info: Info, input: Given[RevokePayeeInput]) -> RevokePayeePayload:
    row = await payees.revoke(
        staff=await staff.require(viewer=info.context.signed_in, roles=EITHER),
        payee_id=key_of(input.payee_id, "Payee"),
        version=input.version,
        reason=input.reason,
        now=info.context.now,
    )
    return PayeeSuccess.of(row)
