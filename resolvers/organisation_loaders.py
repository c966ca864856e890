"""How the relations of organisations are loaded."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Hashable, Sequence
from datetime import date, datetime
from typing import TypeVar
from uuid import UUID

from domain.cards import queries as cards
from domain.identity.viewer import Viewer
from domain.orders import queries as orders
from domain.organisations import queries
from domain.organisations.membership import memberships
from domain.organisations.rules import Room
from kernel.states import OrderState
from models.cards import FuelCard
from models.joining import Joined, of_request
from models.orders import RechargeOrder
from models.organisations import OrganisationInvitation, OrganisationLogEntry, OrganisationMember
from schema.types.organisation_loaders import OrganisationLoaders, PageOfViewer
from schema.types.relay import Page

Key = TypeVar("Key", bound=Hashable)
Found = TypeVar("Found")


def build(clock: Callable[[], datetime]) -> OrganisationLoaders:
    async def room(key: tuple[Viewer, UUID]) -> list[Room] | None:
        return await queries.room(viewer=key[0], member_id=key[1], now=clock())

    return OrganisationLoaders(
        of_viewer=_each(lambda viewer: memberships(viewer=viewer)),
        names=_joined(lambda viewer, ids: queries.names(viewer=viewer, organisation_ids=ids)),
        member_names=_joined(lambda viewer, ids: queries.member_names(viewer=viewer, member_ids=ids)),
        members=_each(_members),
        invitations=_each(_invitations),
        cards=_each(_cards),
        orders=_each(_orders),
        log=_each(_log),
        statements=_each(_statement),
        rooms=_each(room),
        shared_cards=_each(_shared_cards),
    )


def _each(find: Callable[[Key], Awaitable[Found]]) -> Joined[Key, Found]:
    """Return a loader that asks once for each key of a moment."""

    async def load(keys: list[Key]) -> list[Found]:
        found = {key: await find(key) for key in dict.fromkeys(keys)}
        return [found[key] for key in keys]

    return of_request(load)


def _joined(
    find: Callable[[Viewer, Sequence[UUID]], Awaitable[list[Found]]],
) -> Joined[tuple[Viewer, UUID], Found]:
    """Return a loader that asks once for each viewer of a moment, of whom there is mostly one."""

    async def load(keys: list[tuple[Viewer, UUID]]) -> list[Found]:
        found: dict[tuple[Viewer, UUID], Found] = {}
        for viewer in dict.fromkeys(viewer for viewer, _ in keys):
            ids = list(dict.fromkeys(id for each, id in keys if each == viewer))
            found |= {(viewer, id): each for id, each in zip(ids, await find(viewer, ids), strict=True)}
        return [found[key] for key in keys]

    return of_request(load)


async def _members(key: PageOfViewer) -> list[OrganisationMember] | None:
    viewer, id, page = key
    return await queries.members(viewer=viewer, organisation_id=id, first=page.limit, after=page.after_id)


async def _invitations(key: PageOfViewer) -> list[OrganisationInvitation] | None:
    viewer, id, page = key
    return await queries.invitations(viewer=viewer, organisation_id=id, first=page.limit, after=page.after_id)


async def _log(key: PageOfViewer) -> list[OrganisationLogEntry] | None:
    viewer, id, page = key
    return await queries.log(viewer=viewer, organisation_id=id, first=page.limit, after=page.after_id)


async def _cards(key: PageOfViewer) -> list[FuelCard] | None:
    viewer, id, page = key
    return await cards.of_organisation(viewer=viewer, organisation_id=id, first=page.limit, after=page.after_id)


async def _orders(key: tuple[Viewer, UUID, Page, OrderState | None]) -> list[RechargeOrder] | None:
    viewer, id, page, state = key
    return await orders.of_organisation(
        viewer=viewer, organisation_id=id, state=state, first=page.limit, after=page.after_id
    )


async def _statement(key: tuple[Viewer, UUID, date]) -> queries.Statement | None:
    viewer, id, day = key
    return await queries.statement(viewer=viewer, organisation_id=id, day=day)


async def _shared_cards(key: tuple[Viewer, UUID]) -> list[FuelCard]:
    return await queries.shared_cards(viewer=key[0], member_id=key[1])
