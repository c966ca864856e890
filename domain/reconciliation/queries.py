"""Reading runs, differences and their stories, and how long what stands in suspense has stood there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from uuid import UUID

from domain.ledger.postings import suspense
from domain.reconciliation.books import books_of
from kernel.clock import business_day
from kernel.money import Money
from kernel.states import CaseKind, CaseState, DifferenceState
from models.ledger import LedgerAccount
from models.orders import RechargeAttempt
from models.reconciliation import ReconciliationDifference, ReconciliationRun, ReconciliationStep
from models.reviews import ManualCase

# The oldest age in days that still belongs to each bucket; the last one has no end.
AGE_LIMITS_DAYS = (1, 7, 30)
SUSPENSE = suspense("")
IN_SUSPENSE = (DifferenceState.OPEN, DifferenceState.PROPOSED)


@dataclass(slots=True)
class Ageing:
    """One suspense account: its balance (debits minus credits), and what it is made of by age.

    Each bucket has a count and debits minus credits, youngest first; `unexplained` is what neither differences nor
    cases tell of, and always zero where the books are true.
    """

    account: str
    balance: Money
    counts: list[int] = field(default_factory=lambda: [0] * (len(AGE_LIMITS_DAYS) + 1))
    amounts: list[Money] = field(default_factory=lambda: [Money(0)] * (len(AGE_LIMITS_DAYS) + 1))

    @property
    def unexplained(self) -> Money:
        return self.balance - Money(sum(amount.fen for amount in self.amounts))

    @property
    def buckets(self) -> list[tuple[int, int | None, int, Money]]:
        """Return each bucket's youngest and oldest age in days, its count and its amount."""
        youngest = (0, *(limit + 1 for limit in AGE_LIMITS_DAYS))
        return list(zip(youngest, (*AGE_LIMITS_DAYS, None), self.counts, self.amounts, strict=True))

    def add(self, age_days: int, amount_fen: int) -> None:
        bucket = sum(age_days > limit for limit in AGE_LIMITS_DAYS)
        self.counts[bucket] += 1
        self.amounts[bucket] += Money(amount_fen)


async def suspense_ageing(*, now: datetime) -> list[Ageing]:
    """Return every suspense account that has a balance or something in it, by name."""
    found: dict[str, Ageing] = {}
    for account in await LedgerAccount.filter(code__startswith=SUSPENSE):
        ageing = found.setdefault(account.code, Ageing(account.code, Money(0)))
        ageing.balance += Money(account.balance_fen)
    today = business_day(now)
    for row in await ReconciliationDifference.filter(state__in=IN_SUSPENSE, suspended=True).exclude(amount_fen=0):
        account_code, since = suspense(books_of(row.source).party), row.opened_at or row.found_at
        _of(found, account_code).add((today - business_day(since)).days, -row.amount_fen)
    for code, amount_fen, since in await _claw_backs():
        _of(found, code).add((today - business_day(since)).days, amount_fen)
    return [found[code] for code in sorted(found) if found[code].balance.fen or any(found[code].counts)]


def _of(found: dict[str, Ageing], code: str) -> Ageing:
    return found.setdefault(code, Ageing(code, Money(0)))


async def _claw_backs() -> list[tuple[str, int, datetime]]:
    """Recharges that came after their refund stand in the issuer's suspense until two people have decided."""
    cases = await ManualCase.filter(kind=CaseKind.CLAW_BACK, state__not=CaseState.RESOLVED, amount_fen__gt=0)
    attempts = await RechargeAttempt.filter(id__in=[case.attempt_id for case in cases]) if cases else []
    issuers: dict[UUID | None, str] = {attempt.id: attempt.issuer for attempt in attempts}
    return [(suspense(issuers[case.attempt_id]), case.amount_fen, case.created_at) for case in cases]


async def latest_runs(*, source: str | None, first: int, after: UUID | None) -> list[ReconciliationRun]:
    """Return up to `first` runs, newest first, behind the run `after`."""
    rows = ReconciliationRun.filter(source=source) if source else ReconciliationRun.all()
    if after:
        rows = rows.filter(id__lt=after)
    return await rows.order_by("-id").limit(first)


async def run(*, run_id: UUID) -> ReconciliationRun | None:
    return await ReconciliationRun.get_or_none(id=run_id)


async def difference(*, difference_id: UUID) -> ReconciliationDifference | None:
    return await ReconciliationDifference.get_or_none(id=difference_id)


async def some_differences(
    *,
    states: Sequence[DifferenceState],
    source: str | None,
    day: date | None,
    first: int,
    after: UUID | None,
) -> list[ReconciliationDifference]:
    """Return up to `first` differences in the states, oldest first, behind the difference `after`."""
    rows = ReconciliationDifference.filter(state__in=list(states))
    if source:
        rows = rows.filter(source=source)
    if day:
        rows = rows.filter(business_day=day)
    if after:
        rows = rows.filter(id__gt=after)
    return await rows.order_by("id").limit(first)


async def stories(difference_ids: Sequence[UUID]) -> list[list[ReconciliationStep]]:
    """Return the story of each difference, oldest step first, in the order of their ids and in one statement."""
    found: dict[UUID, list[ReconciliationStep]] = {each: [] for each in difference_ids}
    for step in await ReconciliationStep.filter(difference_id__in=list(found)).order_by("difference_id", "version"):
        found[step.difference_id].append(step)
    return [found[each] for each in difference_ids]
