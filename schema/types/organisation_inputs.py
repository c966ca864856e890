"""What the mutations of organisations take, and their successes."""

from __future__ import annotations

from decimal import Decimal
from typing import Self

import strawberry

from domain.organisations.invitations import Invited
from domain.organisations.membership import Membership
from domain.organisations.rules import MemberLimits as Limits
from domain.risk.rules import amount_of
from models.cards import FuelCard
from models.organisations import OrganisationInvitation
from models.organisations import OrganisationMember as MemberRow
from schema.types.cards import Card
from schema.types.organisation_enums import OrganisationRole
from schema.types.organisations import Invitation, Organisation, OrganisationMember
from schema.types.scalars import Yuan

ORGANISATION = "The organisation."
MEMBER = "The member."


@strawberry.input(description="What a member may recharge; what is left out is no limit.")
class MemberLimitsInput:
    per_recharge: Yuan | None = strawberry.field(description="At once.", default=None)
    per_day: Yuan | None = strawberry.field(description="In a day, in China.", default=None)
    per_month: Yuan | None = strawberry.field(description="In a month, in China.", default=None)

    def to_limits(self) -> Limits:
        """Raises the errors of `risk.amount_of`."""
        return Limits(_fen(self.per_recharge), _fen(self.per_day), _fen(self.per_month))


def _fen(yuan: Decimal | None) -> int | None:
    return amount_of(yuan).fen if yuan is not None else None


@strawberry.input(description="An organisation to found.")
class CreateOrganisationInput:
    name: str = strawberry.field(description="Its name, 1 to 64 characters.")
    credit_code: str = strawberry.field(
        description="统一社会信用代码: 18 characters in either case. Spaces and hyphens are ignored."
    )
    own_name: str | None = strawberry.field(
        description="What the viewer is called there, 1 to 64 characters; without it, as in the profile.", default=None
    )


@strawberry.input(description="Another name for an organisation.")
class RenameOrganisationInput:
    organisation_id: strawberry.ID = strawberry.field(description=ORGANISATION)
    name: str = strawberry.field(description="The name, 1 to 64 characters.")


@strawberry.input(description="An organisation to close or to leave.")
class OrganisationInput:
    organisation_id: strawberry.ID = strawberry.field(description=ORGANISATION)


@strawberry.input(description="Whom to invite, and what they become.")
class InviteMemberInput:
    organisation_id: strawberry.ID = strawberry.field(description=ORGANISATION)
    name: str = strawberry.field(description="What they will be called, 1 to 64 characters.")
    role: OrganisationRole = strawberry.field(description="What they will be; nothing above the viewer's own role.")
    all_cards: bool = strawberry.field(
        description="Whether every card is shared with them; else cards are, by `shareCards`.", default=False
    )
    limits: MemberLimitsInput | None = strawberry.field(description="What they may recharge.", default=None)
    phone: str | None = strawberry.field(
        description="Only who has bound this mobile number can accept; without it, who has the code.", default=None
    )


@strawberry.input(description="An invitation to take back.")
class WithdrawInvitationInput:
    invitation_id: strawberry.ID = strawberry.field(description="The invitation.")


@strawberry.input(description="An invitation to accept.")
class AcceptInvitationInput:
    code: str = strawberry.field(description="Its code.")


@strawberry.input(description="A member to act on.")
class MemberInput:
    member_id: strawberry.ID = strawberry.field(description=MEMBER)


@strawberry.input(description="Another role for a member.")
class ChangeMemberRoleInput:
    member_id: strawberry.ID = strawberry.field(description=MEMBER)
    role: OrganisationRole = strawberry.field(description="The role; nothing above the viewer's own.")


@strawberry.input(description="Other limits for a member, in the place of all that they have.")
class SetMemberLimitsInput:
    member_id: strawberry.ID = strawberry.field(description=MEMBER)
    limits: MemberLimitsInput = strawberry.field(description="What they may recharge from now on.")


@strawberry.input(description="The cards that a member may recharge, in the place of all that they have.")
class ShareCardsInput:
    member_id: strawberry.ID = strawberry.field(description=MEMBER)
    all_cards: bool = strawberry.field(description="All that there are and will be.", default=False)
    card_ids: list[strawberry.ID] = strawberry.field(
        description="Cards of the organisation; not looked at with `allCards`.", default_factory=list
    )


@strawberry.input(description="A card to hand over to an organisation.")
class AddOrganisationCardInput:
    organisation_id: strawberry.ID = strawberry.field(description=ORGANISATION)
    card_id: strawberry.ID = strawberry.field(description="A card that the viewer has bound.")


@strawberry.input(description="A card that an organisation gives back to who had bound it.")
class RemoveOrganisationCardInput:
    card_id: strawberry.ID = strawberry.field(description="A card of the organisation.")


@strawberry.type(description="It is done, or was done before.")
class OrganisationSuccess:
    organisation: Organisation = strawberry.field(description="The organisation, as the viewer sees it.")

    @classmethod
    def of(cls, found: Membership) -> Self:
        return cls(organisation=Organisation.of(found))


@strawberry.type(description="Somebody is invited.")
class InviteMemberSuccess:
    invitation: Invitation = strawberry.field(description="The invitation.")
    code: str = strawberry.field(description="The code to hand to them. It is shown this once and nowhere else.")

    @classmethod
    def of(cls, invited: Invited) -> Self:
        return cls(invitation=Invitation.of(invited.invitation), code=invited.code)


@strawberry.type(description="The invitation is over.")
class WithdrawInvitationSuccess:
    invitation: Invitation = strawberry.field(description="The invitation.")

    @classmethod
    def of(cls, row: OrganisationInvitation) -> Self:
        return cls(invitation=Invitation.of(row))


@strawberry.type(description="The member is as was asked for.")
class MemberSuccess:
    member: OrganisationMember = strawberry.field(description="The member.")

    @classmethod
    def of(cls, row: MemberRow) -> Self:
        return cls(member=OrganisationMember.of(row))


@strawberry.type(description="The card is whose it was asked to be.")
class OrganisationCardSuccess:
    card: Card = strawberry.field(description="The card.")

    @classmethod
    def of(cls, row: FuelCard) -> Self:
        return cls(card=Card.of(row))
