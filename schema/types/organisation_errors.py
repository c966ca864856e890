"""What organisations refuse, apart from the other errors since those fill a file."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import strawberry

from domain.cards.operations import CardOwnedByOrganisation
from domain.organisations import invitations, members, membership, operations, rules, sharing
from kernel.errors import YoukaError
from schema.types.money import Money
from schema.types.organisation_enums import LimitPeriod, OrganisationPermission
from schema.types.scalars import DateTime
from schema.types.user_error import UserError


@strawberry.type(description="The organisation does not allow it, or cannot be made so.")
class OrganisationError(UserError):
    permission: OrganisationPermission | None = strawberry.field(
        description="What it takes and the viewer's role does not have, where that is the reason."
    )


@strawberry.type(description="The recharge does not fit into what the organisation lets its member recharge.")
class MemberLimitError(UserError):
    period: LimitPeriod = strawberry.field(description="Which limit.")
    limit: Money = strawberry.field(description="The limit.")
    left: Money = strawberry.field(description="What of it can still be recharged.")
    renews_at: DateTime | None = strawberry.field(
        description="When there is all of it again; null for the limit of each recharge."
    )


def _organisation(error: YoukaError, **common: str) -> UserError:
    return OrganisationError(permission=error.values.get("permission"), **common)


def _limit(error: YoukaError, **common: str) -> UserError:
    renews_at = error.values.get("renews_at")
    return MemberLimitError(
        period=error.values.get("period", LimitPeriod.RECHARGE),
        limit=Money.showing(error.values["limit"]),
        left=Money.showing(error.values["left"]),
        renews_at=DateTime(renews_at) if renews_at else None,
        **common,
    )


Build: TypeAlias = Callable[..., UserError]
REFUSALS = (
    CardOwnedByOrganisation,
    rules.CreditCodeInvalid,
    rules.OrganisationNameInvalid,
    rules.MemberLimitInvalid,
    operations.CreditCodeTaken,
    members.LastOwner,
    membership.OrganisationNotActive,
    membership.OrganisationPermissionMissing,
    invitations.InvitationInvalid,
    invitations.InvitationForAnotherPhone,
    invitations.AlreadyMember,
    sharing.CardThereAlready,
)
NOT_FOUND = (
    membership.OrganisationNotFound,
    membership.MemberNotFound,
    invitations.InvitationNotFound,
    sharing.OrganisationCardNotFound,
)
LIMITS = (
    operations.TooManyOrganisations,
    invitations.TooManyInvitations,
    invitations.TooManyMembers,
    sharing.TooManyOrganisationCards,
)


def organisation_errors(*, not_found: Build, limit: Build) -> dict[type[YoukaError], Build]:
    """Return the table of what organisations raise; two of its builders are those of all rooms."""
    return {
        **dict.fromkeys(REFUSALS, _organisation),
        **dict.fromkeys(NOT_FOUND, not_found),
        **dict.fromkeys(LIMITS, limit),
        rules.MemberLimitExceeded: _limit,
    }
