"""Enterprise customers: organisations, who belongs to them, what is shared with whom, and every change of that."""

from __future__ import annotations

from uuid import UUID

from tortoise import fields
from tortoise.models import Model

from kernel.organisation_states import (
    InvitationState,
    MemberState,
    OrganisationAction,
    OrganisationRole,
    OrganisationState,
)
from models.cards import FuelCard
from models.fields import UtcDatetimeField
from models.identity import User


class Organisation(Model):
    """An enterprise, known by its unified social credit code (统一社会信用代码)."""

    id = fields.UUIDField(primary_key=True)
    name = fields.CharField(max_length=64)
    credit_code = fields.CharField(max_length=18)
    state = fields.CharEnumField(OrganisationState, max_length=16)
    created_at = UtcDatetimeField()
    closed_at = UtcDatetimeField(null=True)

    class Meta:
        table = "organisation"


class OrganisationMember(Model):
    """A user in an organisation, under the name that they have there. A limit that is empty is none."""

    id = fields.UUIDField(primary_key=True)
    organisation: fields.ForeignKeyRelation[Organisation] = fields.ForeignKeyField(
        "models.Organisation", on_delete=fields.RESTRICT
    )
    user: fields.ForeignKeyRelation[User] = fields.ForeignKeyField("models.User", on_delete=fields.RESTRICT)
    name = fields.CharField(max_length=64)
    role = fields.CharEnumField(OrganisationRole, max_length=16)
    state = fields.CharEnumField(MemberState, max_length=16)
    all_cards = fields.BooleanField()
    recharge_max_fen = fields.BigIntField(null=True)
    daily_max_fen = fields.BigIntField(null=True)
    monthly_max_fen = fields.BigIntField(null=True)
    joined_at = UtcDatetimeField()
    ended_at = UtcDatetimeField(null=True)

    organisation_id: UUID
    user_id: UUID

    class Meta:
        table = "organisation_member"
        indexes = (("organisation_id", "id"), ("user_id", "state"))


class OrganisationMemberCard(Model):
    """A card that is shared with a member by name. Who has all of them needs none of these."""

    id = fields.UUIDField(primary_key=True)
    member: fields.ForeignKeyRelation[OrganisationMember] = fields.ForeignKeyField(
        "models.OrganisationMember", on_delete=fields.RESTRICT
    )
    card: fields.ForeignKeyRelation[FuelCard] = fields.ForeignKeyField("models.FuelCard", on_delete=fields.RESTRICT)

    member_id: UUID
    card_id: UUID

    class Meta:
        table = "organisation_member_card"
        unique_together = (("member", "card"),)


class OrganisationInvitation(Model):
    """What whoever has the code may become. The code is kept as its digest, and a phone as its keyed one."""

    id = fields.UUIDField(primary_key=True)
    organisation: fields.ForeignKeyRelation[Organisation] = fields.ForeignKeyField(
        "models.Organisation", on_delete=fields.RESTRICT
    )
    name = fields.CharField(max_length=64)
    role = fields.CharEnumField(OrganisationRole, max_length=16)
    all_cards = fields.BooleanField()
    recharge_max_fen = fields.BigIntField(null=True)
    daily_max_fen = fields.BigIntField(null=True)
    monthly_max_fen = fields.BigIntField(null=True)
    code_digest = fields.CharField(max_length=64, unique=True)
    phone_digest = fields.CharField(max_length=64, null=True)
    phone_masked = fields.CharField(max_length=24, null=True)
    state = fields.CharEnumField(InvitationState, max_length=16)
    invited_by = fields.UUIDField()
    member_id = fields.UUIDField(null=True)
    created_at = UtcDatetimeField()
    expires_at = UtcDatetimeField()
    ended_at = UtcDatetimeField(null=True)

    organisation_id: UUID

    class Meta:
        table = "organisation_invitation"
        indexes = (("organisation_id", "id"),)


class OrganisationLogEntry(Model):
    """One change of an organisation: who, what, before, after, and when. Never changed.

    `member_id` is whom it is about and `actor_member_id` who did it, where those are members.
    """

    id = fields.UUIDField(primary_key=True)
    organisation_id = fields.UUIDField()
    action = fields.CharEnumField(OrganisationAction, max_length=32)
    actor = fields.CharField(max_length=96)
    actor_member_id = fields.UUIDField(null=True)
    member_id = fields.UUIDField(null=True)
    before: fields.JSONField[dict[str, str]] = fields.JSONField()
    after: fields.JSONField[dict[str, str]] = fields.JSONField()
    occurred_at = UtcDatetimeField()

    class Meta:
        table = "organisation_log"
        indexes = (("organisation_id", "id"),)
