"""Sweeps: the operating account keeps what the day will take, and the reserve has the rest."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime

from tortoise.exceptions import IntegrityError

from domain.funds import moving, operations
from domain.funds.policy import Policy
from domain.funds.queries import escrow, forecast_fen
from domain.funds.rules import Escrow, plan_sweep
from kernel.clock import business_day
from kernel.fund_states import FundStepKind, TransferKind, TransferState
from kernel.ids import new_id
from models.database import transactional
from models.funds import FundSettlement, FundSweep, FundTransfer

REASON = "what the rule of the sweep moves"


async def sweep(*, policy: Policy, now: datetime, settlement: FundSettlement | None = None) -> FundSweep:
    """Do the sweep of the business day of `now` once, or the one behind a settlement, and return it.

    Of two at once one is done. Into the reserve it goes by rule; out of it is only proposed, since that takes people,
    and behind a settlement not even that. Raises EscrowInsufficient where money has left meanwhile; then nothing has
    changed.
    """
    day = business_day(settlement.occurred_at if settlement else now)
    cause = str(settlement.id) if settlement else ""
    for last in (False, True):
        done = await FundSweep.get_or_none(business_day=day, cause=cause)
        if done is not None:
            return done
        try:
            return await _sweep(day, cause, policy, now)
        except IntegrityError:
            if last:
                raise
    raise AssertionError("the second try returns or raises")


@transactional
async def _sweep(day: date, cause: str, policy: Policy, now: datetime) -> FundSweep:
    found, expected_fen = await escrow(), await forecast_fen(policy=policy, now=now)
    basis_points = policy.reserve_min_basis_points
    plan = plan_sweep(found, forecast_fen=expected_fen, reserve_min_basis_points=basis_points)
    if cause and plan.amount_fen < 0:
        plan = replace(plan, amount_fen=0)
    row = FundSweep(
        id=new_id(),
        business_day=day,
        cause=cause,
        forecast_fen=expected_fen,
        operating_fen=found.operating_fen,
        reserve_fen=found.in_reserve_fen,
        total_fen=found.total_fen,
        target_fen=plan.target_fen,
        amount_fen=plan.amount_fen,
        occurred_at=now,
    )
    kind = TransferKind.TO_RESERVE if plan.amount_fen > 0 else TransferKind.FROM_RESERVE
    transfer = operations.drafted(kind, abs(plan.amount_fen), REASON, policy, now)
    row.transfer_id = transfer.id if plan.amount_fen else None
    # The sweep is claimed before any money is set aside, so whoever else does it waits, and finds it done.
    await row.save(force_create=True)
    if plan.amount_fen > 0:
        await _into_reserve(transfer, found, policy, now)
    elif plan.amount_fen < 0:
        await operations.release(transfer, None, policy, now)
    return row


async def _into_reserve(row: FundTransfer, found: Escrow, policy: Policy, now: datetime) -> None:
    row.update_from_dict(
        {
            "state": TransferState.CHECKED,
            "reserve_after_fen": found.in_reserve_fen + row.amount_fen,
            "total_after_fen": found.total_fen,
            "reserve_min_basis_points": policy.reserve_min_basis_points,
        }
    )
    await moving.begin(row, FundStepKind.ORDER, now=now)
