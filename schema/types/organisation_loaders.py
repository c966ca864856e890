"""The relations of organisations, by key; each key names the viewer, and None is the answer to who may not see it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import TypeAlias
from uuid import UUID

from domain.identity.viewer import Viewer
from domain.organisations.membership import Membership
from domain.organisations.queries import Statement
from domain.organisations.rules import Room
from models.cards import FuelCard
from models.orders import RechargeOrder
from models.organisations import Organisation, OrganisationInvitation, OrganisationLogEntry, OrganisationMember
from schema.types.enums import OrderState
from schema.types.loading import Loader
from schema.types.relay import Page

OfViewer: TypeAlias = tuple[Viewer, UUID]
PageOfViewer: TypeAlias = tuple[Viewer, UUID, Page]


@dataclass(slots=True)
class OrganisationLoaders:
    """They join the loads of one moment and keep nothing, like all loaders."""

    of_viewer: Loader[Viewer, list[Membership]]
    names: Loader[OfViewer, Organisation | None]
    member_names: Loader[OfViewer, str | None]
    members: Loader[PageOfViewer, list[OrganisationMember] | None]
    invitations: Loader[PageOfViewer, list[OrganisationInvitation] | None]
    cards: Loader[PageOfViewer, list[FuelCard] | None]
    orders: Loader[tuple[Viewer, UUID, Page, OrderState | None], list[RechargeOrder] | None]
    log: Loader[PageOfViewer, list[OrganisationLogEntry] | None]
    statements: Loader[tuple[Viewer, UUID, date], Statement | None]
    rooms: Loader[OfViewer, list[Room] | None]
    shared_cards: Loader[OfViewer, list[FuelCard]]
