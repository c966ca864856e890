"""Enterprise customers."""

from __future__ import annotations

from typing import Annotated
from uuid import UUID

import strawberry

from domain.organisations import invitations, members, operations, queries, sharing
from domain.organisations.invitations import Offered
from domain.organisations.membership import membership
from domain.organisations.policy import OrganisationPolicy
from domain.organisations.rules import NO_LIMITS
from resolvers.payloads import payload
from schema.types.context import Info
from schema.types.inputs import Given
from schema.types.organisation_inputs import (
    AcceptInvitationInput,
    AddOrganisationCardInput,
    ChangeMemberRoleInput,
    CreateOrganisationInput,
    InviteMemberInput,
    InviteMemberSuccess,
    MemberInput,
    MemberSuccess,
    OrganisationCardSuccess,
    OrganisationInput,
    OrganisationSuccess,
    RemoveOrganisationCardInput,
    RenameOrganisationInput,
    SetMemberLimitsInput,
    ShareCardsInput,
    WithdrawInvitationInput,
    WithdrawInvitationSuccess,
)
from schema.types.organisation_log import OrganisationLogItem
from schema.types.organisation_payloads import (
    AcceptInvitationPayload,
    CreateOrganisationPayload,
    InviteMemberPayload,
    MemberPayload,
    OrganisationCardPayload,
    OrganisationPayload,
    WithdrawInvitationPayload,
)
from schema.types.organisations import Invitation, Organisation, OrganisationMember
from schema.types.relay import key_of


async def organisation(
    info: Info, id: Annotated[strawberry.ID, strawberry.argument(description="The organisation's id.")]
) -> Organisation | None:
    found = await membership(viewer=info.context.signed_in, organisation_id=key_of(id, "Organisation"))
    return Organisation.of(found) if found else None


async def organisation_by_key(info: Info, key: UUID) -> Organisation | None:
    found = await membership(viewer=info.context.viewer, organisation_id=key) if info.context.viewer else None
    return Organisation.of(found) if found else None


async def member_by_key(info: Info, key: UUID) -> OrganisationMember | None:
    row = await queries.one_member(viewer=info.context.signed_in, member_id=key)
    return OrganisationMember.of(row) if row else None


async def invitation_by_key(info: Info, key: UUID) -> Invitation | None:
    row = await queries.one_invitation(viewer=info.context.signed_in, invitation_id=key)
    return Invitation.of(row) if row else None


async def change_by_key(info: Info, key: UUID) -> OrganisationLogItem | None:
    row = await queries.one_change(viewer=info.context.signed_in, change_id=key)
    return OrganisationLogItem.of(row) if row else None


@payload
async def create_organisation(info: Info, input: Given[CreateOrganisationInput]) -> CreateOrganisationPayload:
    founded = await operations.create(
        viewer=info.context.signed_in,
        name=input.name,
        credit_code=input.credit_code,
        own_name=input.own_name,
        policy=_policy(info),
        now=info.context.now,
    )
    return OrganisationSuccess.of(founded)


@payload
async def rename_organisation(info: Info, input: Given[RenameOrganisationInput]) -> OrganisationPayload:
    key = key_of(input.organisation_id, "Organisation")
    renamed = await operations.rename(
        viewer=info.context.signed_in, organisation_id=key, name=input.name, now=info.context.now
    )
    return OrganisationSuccess.of(renamed)


@payload
async def close_organisation(info: Info, input: Given[OrganisationInput]) -> OrganisationPayload:
    key = key_of(input.organisation_id, "Organisation")
    closed = await operations.close(viewer=info.context.signed_in, organisation_id=key, now=info.context.now)
    return OrganisationSuccess.of(closed)


@payload
async def leave_organisation(info: Info, input: Given[OrganisationInput]) -> OrganisationPayload:
    key = key_of(input.organisation_id, "Organisation")
    left = await members.leave(viewer=info.context.signed_in, organisation_id=key, now=info.context.now)
    return OrganisationSuccess.of(left)


@payload
async def invite_member(info: Info, input: Given[InviteMemberInput]) -> InviteMemberPayload:
    offered = Offered(
        name=input.name,
        role=input.role,
        all_cards=input.all_cards,
        limits=input.limits.to_limits() if input.limits else NO_LIMITS,
        phone=input.phone,
    )
    invited = await invitations.invite(
        viewer=info.context.signed_in,
        organisation_id=key_of(input.organisation_id, "Organisation"),
        offered=offered,
        sealer=info.context.services.sealer,
        policy=_policy(info),
        now=info.context.now,
    )
    return InviteMemberSuccess.of(invited)


@payload
async def withdraw_invitation(info: Info, input: Given[WithdrawInvitationInput]) -> WithdrawInvitationPayload:
    key = key_of(input.invitation_id, "Invitation")
    row = await invitations.withdraw(viewer=info.context.signed_in, invitation_id=key, now=info.context.now)
    return WithdrawInvitationSuccess.of(row)


@payload
async def accept_invitation(info: Info, input: Given[AcceptInvitationInput]) -> AcceptInvitationPayload:
    joined = await invitations.accept(
        viewer=info.context.signed_in, code=input.code, policy=_policy(info), now=info.context.now
    )
    return OrganisationSuccess.of(joined)


@payload
async def remove_member(info: Info, input: Given[MemberInput]) -> MemberPayload:
    key = key_of(input.member_id, "OrganisationMember")
    return MemberSuccess.of(await members.remove(viewer=info.context.signed_in, member_id=key, now=info.context.now))


@payload
async def change_member_role(info: Info, input: Given[ChangeMemberRoleInput]) -> MemberPayload:
    key = key_of(input.member_id, "OrganisationMember")
    row = await members.change_role(viewer=info.context.signed_in, member_id=key, role=input.role, now=info.context.now)
    return MemberSuccess.of(row)


@payload
async def set_member_limits(info: Info, input: Given[SetMemberLimitsInput]) -> MemberPayload:
    key, limits = key_of(input.member_id, "OrganisationMember"), input.limits.to_limits()
    row = await members.set_limits(viewer=info.context.signed_in, member_id=key, limits=limits, now=info.context.now)
    return MemberSuccess.of(row)


@payload
async def share_cards(info: Info, input: Given[ShareCardsInput]) -> MemberPayload:
    row = await sharing.share(
        viewer=info.context.signed_in,
        member_id=key_of(input.member_id, "OrganisationMember"),
        all_cards=input.all_cards,
        card_ids=[key_of(each, "Card") for each in input.card_ids],
        now=info.context.now,
    )
    return MemberSuccess.of(row)


@payload
async def transfer_ownership(info: Info, input: Given[MemberInput]) -> MemberPayload:
    key = key_of(input.member_id, "OrganisationMember")
    row = await members.transfer_ownership(viewer=info.context.signed_in, member_id=key, now=info.context.now)
    return MemberSuccess.of(row)


@payload
async def add_organisation_card(info: Info, input: Given[AddOrganisationCardInput]) -> OrganisationCardPayload:
    row = await sharing.add(
        viewer=info.context.signed_in,
        organisation_id=key_of(input.organisation_id, "Organisation"),
        card_id=key_of(input.card_id, "Card"),
        policy=_policy(info),
        now=info.context.now,
    )
    return OrganisationCardSuccess.of(row)


@payload
async def remove_organisation_card(info: Info, input: Given[RemoveOrganisationCardInput]) -> OrganisationCardPayload:
    key = key_of(input.card_id, "Card")
    row = await sharing.remove(viewer=info.context.signed_in, card_id=key, now=info.context.now)
    return OrganisationCardSuccess.of(row)


def _policy(info: Info) -> OrganisationPolicy:
    return OrganisationPolicy.of(info.context.services.settings)
