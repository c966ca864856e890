"""What enterprise customers have of the table of contents: fields of the same Query and Mutation."""

from __future__ import annotations

import strawberry

from resolvers import organisations
from schema.types import costs
from schema.types import requirements as allowed
from schema.types.organisation_payloads import (
    AcceptInvitationPayload,
    CreateOrganisationPayload,
    InviteMemberPayload,
    MemberPayload,
    OrganisationCardPayload,
    OrganisationPayload,
    WithdrawInvitationPayload,
)
from schema.types.organisations import Organisation


@strawberry.type
class OrganisationQuery:
    organisation: Organisation | None = strawberry.field(
        resolver=organisations.organisation,
        directives=[allowed.PROFILE, costs.READ],
        description="An organisation that the viewer belongs to; null where there is none with this id.",
    )


@strawberry.type
class OrganisationMutation:
    create_organisation: CreateOrganisationPayload = strawberry.field(
        resolver=organisations.create_organisation,
        directives=[allowed.PROFILE, costs.WRITE],
        description="Found an organisation, whose owner the viewer is. Founding one's own again returns it.",
    )
    rename_organisation: OrganisationPayload = strawberry.field(
        resolver=organisations.rename_organisation,
        directives=[allowed.PROFILE, costs.WRITE],
        description="Give an organisation another name. Takes MANAGE_ORGANISATION.",
    )
    close_organisation: OrganisationPayload = strawberry.field(
        resolver=organisations.close_organisation,
        directives=[allowed.PROFILE, costs.WRITE],
        description="Close an organisation for good; its cards go back to who had bound them. Takes "
        "MANAGE_ORGANISATION.",
    )
    leave_organisation: OrganisationPayload = strawberry.field(
        resolver=organisations.leave_organisation,
        directives=[allowed.PROFILE, costs.WRITE],
        description="Leave an organisation. The last owner cannot.",
    )
    invite_member: InviteMemberPayload = strawberry.field(
        resolver=organisations.invite_member,
        directives=[allowed.PROFILE, costs.WRITE],
        description="Invite somebody by a code that is shown once. Takes MANAGE_MEMBERS.",
    )
    withdraw_invitation: WithdrawInvitationPayload = strawberry.field(
        resolver=organisations.withdraw_invitation,
        directives=[allowed.PROFILE, costs.WRITE],
        description="Take an invitation back. Takes MANAGE_MEMBERS.",
    )
    accept_invitation: AcceptInvitationPayload = strawberry.field(
        resolver=organisations.accept_invitation,
        directives=[allowed.PROFILE, costs.WRITE],
        description="Become a member by the code of an invitation.",
    )
    remove_member: MemberPayload = strawberry.field(
        resolver=organisations.remove_member,
        directives=[allowed.PROFILE, costs.WRITE],
        description="Put a member out, from now on and from what is open. Takes MANAGE_MEMBERS.",
    )
    change_member_role: MemberPayload = strawberry.field(
        resolver=organisations.change_member_role,
        directives=[allowed.PROFILE, costs.WRITE],
        description="Give a member another role. Takes MANAGE_MEMBERS.",
    )
    set_member_limits: MemberPayload = strawberry.field(
        resolver=organisations.set_member_limits,
        directives=[allowed.PROFILE, costs.WRITE],
        description="Say what a member may recharge. Takes SET_LIMITS.",
    )
    share_cards: MemberPayload = strawberry.field(
        resolver=organisations.share_cards,
        directives=[allowed.CARDS, costs.WRITE],
        description="Say which cards a member may recharge. Takes MANAGE_CARDS.",
    )
    transfer_ownership: MemberPayload = strawberry.field(
        resolver=organisations.transfer_ownership,
        directives=[allowed.PROFILE, costs.WRITE],
        description="Make a member the owner; the viewer becomes an administrator. Takes MANAGE_ORGANISATION.",
    )
    add_organisation_card: OrganisationCardPayload = strawberry.field(
        resolver=organisations.add_organisation_card,
        directives=[allowed.CARDS, costs.WRITE],
        description="Hand a card of the viewer over to an organisation. Takes MANAGE_CARDS.",
    )
    remove_organisation_card: OrganisationCardPayload = strawberry.field(
        resolver=organisations.remove_organisation_card,
        directives=[allowed.CARDS, costs.WRITE],
        description="Give a card back to who had bound it. Takes MANAGE_CARDS.",
    )
