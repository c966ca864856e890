"""Orders that were drafted without a connection, and are made when it is back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from uuid import UUID

from domain.identity.viewer import Viewer
from domain.orders import operations
from domain.orders.creating import Wanted
from domain.orders.policy import Policy
from domain.risk import rules as risk
from kernel.errors import YoukaError
from models.orders import RechargeOrder

SYNC = "syncDraftOrders"


class TooManyDrafts(YoukaError):
    code = "TOO_MANY_DRAFTS"
    messages = {"zh-CN": "一次最多同步{maximum}条草稿", "en": "Send {maximum} drafts at once at most"}


@dataclass(frozen=True, slots=True)
class Draft:
    """What a client wrote down. `client_id` names it for good; `quoted` is the price that the user saw then."""

    client_id: str
    card_id: UUID | None
    yuan: Decimal | None
    names_offer: bool
    offer_id: UUID | None
    quoted: Decimal


@dataclass(frozen=True, slots=True)
class Synced:
    """What became of a draft: an order, or the reason why there is none."""

    client_id: str
    order: RechargeOrder | None
    error: YoukaError | None


async def sync(*, viewer: Viewer, drafts: Sequence[Draft], policy: Policy, now: datetime) -> list[Synced]:
    """Make an order of each draft in turn, or find the one that an earlier sync made of it.

    Each draft stands for itself: one that is refused, its price having changed for instance, leaves the others alone
    and may be sent again. Raises TooManyDrafts, and then none is looked at.
    """
    if len(drafts) > policy.drafts_max:
        raise TooManyDrafts(maximum=policy.drafts_max)
    return [await _sync(viewer, draft, policy, now) for draft in drafts]


async def _sync(viewer: Viewer, draft: Draft, policy: Policy, now: datetime) -> Synced:
    try:
        wanted = Wanted(
            operation=SYNC,
            key=draft.client_id,
            card_id=draft.card_id,
            yuan=draft.yuan,
            names_offer=draft.names_offer,
            offer_id=draft.offer_id,
            quoted=risk.amount_of(draft.quoted),
        )
        order = await operations.create(viewer=viewer, wanted=wanted, policy=policy, now=now)
    except YoukaError as error:
        return Synced(draft.client_id, None, error)
    return Synced(draft.client_id, order, None)
