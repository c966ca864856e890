"""Any object by its id, under the same rules as the field that shows it first."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

import strawberry

from domain.cards import queries as cards
from domain.identity import queries as identity
from domain.identity import scopes, staff
from domain.identity.staff import StaffOnly
from domain.identity.viewer import Viewer
from domain.mandates import queries as mandates
from domain.orders import queries as orders
from domain.payments import top_ups
from kernel.errors import YoukaError
from resolvers.access import session_by_key
from resolvers.cases import case_by_key, review_by_key
from resolvers.offers import offer_by_key
from resolvers.operators import action_by_key, error_by_key, suspense_entry_by_key
from resolvers.organisations import change_by_key, invitation_by_key, member_by_key, organisation_by_key
from resolvers.prices import price_by_key, zone_by_key
from resolvers.reconciliation import difference_by_key, run_by_key
from resolvers.sign_ins import sign_in_by_key
from resolvers.stations import station_by_key
from resolvers.webhooks import delivery_by_key, webhook_by_key
from schema.types.cards import Card
from schema.types.context import Info
from schema.types.mandates import Mandate
from schema.types.orders import Order
from schema.types.relay import Node, parse_global_id
from schema.types.requirements import (
    ANY_STAFF,
    CARDS,
    DEVICES,
    PROFILE,
    RECHARGE,
    SEES_ACTIONS,
    SEES_BOOKS,
    SEES_CUSTOMERS,
    SEES_ORDERS,
    WEBHOOKS,
    RequiresRole,
    RequiresScopes,
)
from schema.types.viewer import Profile
from schema.types.wallet import TopUp


class TooManyIds(YoukaError):
    """`maximum` is how many ids there may be at once."""

    code = "TOO_MANY_IDS"
    messages = {"zh-CN": "一次最多查询{maximum}个标识", "en": "Ask for {maximum} ids at once at most"}


async def node(
    info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The id of any object.")]
) -> Node | None:
    type_name, key = parse_global_id(id) or ("", None)
    finder = FINDERS.get(type_name)
    if finder is None or key is None or not finder.may_be_for(info.context.viewer):
        return None
    try:
        return await finder.find(info, key)
    except StaffOnly:
        return None


async def nodes(
    info: Info, ids: Annotated[list[strawberry.ID], strawberry.argument(description="The ids of any objects.")]
) -> list[Node | None]:
    maximum = info.context.services.settings.nodes_max
    if len(ids) > maximum:
        raise TooManyIds(maximum=maximum)
    return [await node(info, each) for each in ids]


async def _order(info: Info, key: UUID) -> Node | None:
    row = await orders.visible(viewer=info.context.viewer, order_id=key) if info.context.viewer else None
    return Order.of(row) if row else None


async def _card(info: Info, key: UUID) -> Node | None:
    row = await cards.visible(viewer=info.context.viewer, card_id=key) if info.context.viewer else None
    return Card.of(row) if row else None


async def _profile(info: Info, key: UUID) -> Node | None:
    viewer = info.context.viewer
    row = await identity.profile(viewer=viewer) if viewer and viewer.user_id == key else None
    return Profile.of(row) if row else None


async def _top_up(info: Info, key: UUID) -> Node | None:
    row = await top_ups.owned(viewer=info.context.viewer, top_up_id=key) if info.context.viewer else None
    return TopUp.of(row) if row else None


async def _mandate(info: Info, key: UUID) -> Node | None:
    row = await mandates.owned(viewer=info.context.viewer, mandate_id=key) if info.context.viewer else None
    return Mandate.of(row) if row else None


@dataclass(frozen=True, slots=True)
class Finder:
    """How a node of one type is found, and what its first field requires of who asks; None for what is public."""

    find: Callable[[Info, UUID], Awaitable[Node | None]]
    requirement: RequiresScopes | RequiresRole | None = None

    def may_be_for(self, viewer: Viewer | None) -> bool:
        """Whether the token suffices; what takes a role asks for it itself, and raises StaffOnly."""
        if self.requirement is None or viewer is None:
            return self.requirement is None
        if isinstance(self.requirement, RequiresScopes):
            return scopes.suffices(viewer, self.requirement.scopes)
        return staff.is_staff(viewer)


FINDERS = {
    "Card": Finder(_card, CARDS),
    "Case": Finder(case_by_key, ANY_STAFF),
    "Difference": Finder(difference_by_key, SEES_BOOKS),
    "Invitation": Finder(invitation_by_key, PROFILE),
    "LedgerError": Finder(error_by_key, SEES_CUSTOMERS),
    "Mandate": Finder(_mandate, RECHARGE),
    "Offer": Finder(offer_by_key),
    "Order": Finder(_order, SEES_ORDERS),
    "OrderReview": Finder(review_by_key, ANY_STAFF),
    "Organisation": Finder(organisation_by_key, PROFILE),
    "OrganisationLogItem": Finder(change_by_key, PROFILE),
    "OrganisationMember": Finder(member_by_key, PROFILE),
    "Price": Finder(price_by_key),
    "PriceZone": Finder(zone_by_key),
    "Profile": Finder(_profile, PROFILE),
    "ReconciliationRun": Finder(run_by_key, SEES_BOOKS),
    "Session": Finder(session_by_key, DEVICES),
    "SignIn": Finder(sign_in_by_key, DEVICES),
    "StaffAction": Finder(action_by_key, SEES_ACTIONS),
    "Station": Finder(station_by_key),
    "SuspenseEntry": Finder(suspense_entry_by_key, SEES_BOOKS),
    "TopUp": Finder(_top_up, RECHARGE),
    "Webhook": Finder(webhook_by_key, WEBHOOKS),
    "WebhookDelivery": Finder(delivery_by_key, WEBHOOKS),
}
