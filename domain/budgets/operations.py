"""Taking of budgets: of a client's for what a request costs, and of somebody's for what a mutation does."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

from domain.access.clients import CAR_CLIENT_ID, MINI_PROGRAM_CLIENT_ID, Quota
from domain.budgets.policy import Policy
from domain.budgets.rules import Budget, Subject, budget_key, client_key, subjects
from domain.identity.staff import STAFF_CLIENT_ID
from domain.identity.viewer import Viewer
from kernel.buckets import Bucket, Buckets, Draw, Level, MemoryBuckets
from kernel.errors import YoukaError
from kernel.settings import Settings
from kernel.states import ClientKind

FIRST_PARTY = {
    MINI_PROGRAM_CLIENT_ID: ClientKind.MINI_PROGRAM,
    CAR_CLIENT_ID: ClientKind.CAR,
    STAFF_CLIENT_ID: ClientKind.STAFF,
}


class BudgetSpent(YoukaError):
    """`retry_at` is when one more may be asked for; `subject` is USER, DEVICE or CARD."""

    code = "BUDGET_SPENT"
    messages = {"zh-CN": "操作过于频繁，请稍后再试", "en": "Too many requests in a short time; please try again later"}


@dataclass(slots=True)
class Budgets:
    """The buckets, and how large each is; `quotas` are those of partners that have their own."""

    policy: Policy
    buckets: Buckets
    quotas: dict[str, Bucket] = field(default_factory=dict)

    @classmethod
    def of(cls, settings: Settings, buckets: Buckets | None = None) -> Budgets:
        return cls(Policy.of(settings), buckets or MemoryBuckets(keys_max=settings.rate_limit_keys_max))

    def use(self, quotas: Iterable[Quota]) -> None:
        """Know from now on which clients have quotas of their own."""
        factor = self.policy.factor
        self.quotas = {each.client_id: Bucket(each.cost_max * factor, each.refill_per_s * factor) for each in quotas}

    def draw(self, *, viewer: Viewer | None, address: str, cost: int) -> Draw:
        """Return what a request takes of its client's bucket."""
        return Draw(client_key(viewer, address), self._bucket_of(viewer), cost, leased=True)

    def draw_of_stream(self, *, viewer: Viewer | None, connection: str, cost: int) -> Draw:
        """Return what an event takes: of the connection where nobody is signed in, since many share an address."""
        if viewer:
            return self.draw(viewer=viewer, address="", cost=cost)
        return Draw(f"stream:{connection}", self.policy.anonymous, cost, shared=False)

    def _bucket_of(self, viewer: Viewer | None) -> Bucket:
        if viewer is None:
            return self.policy.anonymous
        own = self.quotas.get(viewer.client_id)
        return own or self.policy.of_kind[FIRST_PARTY.get(viewer.client_id, ClientKind.PARTNER)]


async def spend(
    *,
    budget: Budget,
    budgets: Budgets,
    viewer: Viewer | None,
    now: datetime,
    address: str = "",
    card_id: UUID | None = None,
) -> None:
    """Take one piece of the budget, of everybody who is counted, or of nobody. Raises BudgetSpent."""
    sizes = budgets.policy.of_budget[budget]
    counted = {each: name for each, name in subjects(viewer, address, card_id).items() if each in sizes}
    draws = [Draw(budget_key(budget, name), sizes[each], 1) for each, name in counted.items()]
    levels = await budgets.buckets.take(draws)
    wait_s, subject = max(_waits(counted, levels))
    if wait_s > 0:
        raise BudgetSpent(retry_at=now + timedelta(seconds=wait_s), subject=subject.value)


def _waits(counted: Iterable[Subject], levels: Iterable[Level]) -> Iterable[tuple[float, Subject]]:
    return zip((level.wait_s for level in levels), counted, strict=True)
