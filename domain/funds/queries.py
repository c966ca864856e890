"""Reading escrow, transfers, payees, settlements, sweeps and insurance, for finance staff."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from tortoise.functions import Sum
from tortoise.models import Model
from tortoise.queryset import QuerySet

from domain.funds import rules
from domain.funds.lifecycle import LIVE
from domain.funds.policy import Policy
from domain.funds.rules import Escrow
from domain.ledger.postings import ESCROW_OPERATING, ESCROW_RESERVE, held_in
from domain.ledger.queries import balances
from kernel.clock import start_of_business_day
from kernel.fund_states import ClaimState, PayeeState, TransferKind, TransferState
from kernel.states import RechargeState
from models.funds import (
    FundPayee,
    FundSettlement,
    FundStep,
    FundSweep,
    FundTransfer,
    InsuranceClaim,
    InsurancePolicy,
)
from models.orders import RechargeAttempt

WEEK = timedelta(days=7)
DAY = timedelta(days=1)
SPENT = (RechargeState.SUCCEEDED, RechargeState.REVERSED)

Row = TypeVar("Row", bound=Model)


@dataclass(frozen=True, slots=True)
class Position:
    """What lies in escrow now, what the rule says of it, and what today will take as far as is known. In fen."""

    escrow: Escrow
    reserve_min_basis_points: int
    forecast_fen: int | None
    last_sweep: FundSweep | None

    @property
    def reserve_min_fen(self) -> int:
        return self.escrow.reserve_min_fen(self.reserve_min_basis_points)

    @property
    def keeps_the_reserve(self) -> bool:
        return self.escrow.keeps_the_reserve(self.reserve_min_basis_points)


async def escrow() -> Escrow:
    """Return what lies in escrow and what is on its way, in fen."""
    operating, operating_held, reserve, reserve_held = await balances(
        [ESCROW_OPERATING, held_in(ESCROW_OPERATING), ESCROW_RESERVE, held_in(ESCROW_RESERVE)]
    )
    moving = FundTransfer.filter(kind=TransferKind.TO_RESERVE, state__in=list(LIVE))
    to_reserve_fen = await _total(moving, "amount_fen")
    return Escrow(
        operating_fen=operating.fen,
        reserve_fen=reserve.fen,
        withdrawing_fen=operating_held.fen - to_reserve_fen,
        to_reserve_fen=to_reserve_fen,
        from_reserve_fen=reserve_held.fen,
    )


async def forecast_fen(*, policy: Policy, now: datetime) -> int | None:
    """Return what recharges will take of our deposits today, after what they took on this weekday before."""
    today = start_of_business_day(now)
    volumes = []
    for week in range(1, policy.forecast_weeks + 1):
        since = today - week * WEEK
        spent = RechargeAttempt.filter(state__in=SPENT, settled_at__gte=since, settled_at__lt=since + DAY)
        volumes.append(await _total(spent, "cost_fen"))
    return rules.forecast(volumes, margin_basis_points=policy.forecast_margin_basis_points)


async def position(*, policy: Policy, now: datetime) -> Position:
    """Return what lies in escrow, the rule of its reserve, and the day's forecast."""
    return Position(
        escrow=await escrow(),
        reserve_min_basis_points=policy.reserve_min_basis_points,
        forecast_fen=await forecast_fen(policy=policy, now=now),
        last_sweep=await FundSweep.all().order_by("-occurred_at", "-id").first(),
    )


async def some_transfers(
    *,
    states: Sequence[TransferState] | None,
    kinds: Sequence[TransferKind] | None,
    first: int,
    after: UUID | None,
) -> list[FundTransfer]:
    """Return up to `first` transfers, newest first, behind the transfer `after`."""
    rows = FundTransfer.filter(**_among(state=states, kind=kinds))
    return await _newest(rows, first, after)


async def some_payees(*, states: Sequence[PayeeState] | None, first: int, after: UUID | None) -> list[FundPayee]:
    """Return up to `first` payees, newest first, behind the payee `after`."""
    return await _newest(FundPayee.filter(**_among(state=states)), first, after)


async def some_policies(*, first: int, after: UUID | None) -> list[InsurancePolicy]:
    """Return up to `first` policies, newest first, behind the policy `after`."""
    return await _newest(InsurancePolicy.all(), first, after)


async def some_claims(
    *, states: Sequence[ClaimState] | None, policy_id: UUID | None, first: int, after: UUID | None
) -> list[InsuranceClaim]:
    """Return up to `first` claims, newest first, behind the claim `after`."""
    rows = InsuranceClaim.filter(**_among(state=states))
    if policy_id:
        rows = rows.filter(policy_id=policy_id)
    return await _newest(rows, first, after)


async def some_settlements(*, first: int, after: UUID | None) -> list[FundSettlement]:
    """Return up to `first` settlements, newest first, behind the settlement `after`."""
    return await _newest(FundSettlement.all(), first, after)


async def some_sweeps(*, first: int, after: UUID | None) -> list[FundSweep]:
    """Return up to `first` sweeps, newest first, behind the sweep `after`."""
    return await _newest(FundSweep.all(), first, after)


async def stories(subject_ids: Sequence[UUID]) -> list[list[FundStep]]:
    """Return the story of each transfer, payee, policy or claim, oldest step first, in one statement."""
    found: dict[UUID, list[FundStep]] = {each: [] for each in subject_ids}
    for step in await FundStep.filter(subject_id__in=list(found)).order_by("subject_id", "version"):
        found[step.subject_id].append(step)
    return [found[each] for each in subject_ids]


async def payees_by_ids(ids: Sequence[UUID]) -> list[FundPayee]:
    """Return the payees, in the order of their ids."""
    found = {row.id: row for row in await FundPayee.filter(id__in=list(set(ids)))}
    return [found[each] for each in ids]


async def _total(rows: QuerySet[Any], column: str) -> int:
    found = await rows.annotate(total_fen=Sum(column)).values("total_fen")
    return int(found[0]["total_fen"] or 0) if found else 0


def _among(**values: Sequence[object] | None) -> dict[str, Any]:
    return {f"{name}__in": list(given) for name, given in values.items() if given is not None}


async def _newest(rows: QuerySet[Row], first: int, after: UUID | None) -> list[Row]:
    if after:
        rows = rows.filter(id__lt=after)
    return await rows.order_by("-id").limit(first)
