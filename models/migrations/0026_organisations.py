"""Enterprise customers: organisations, members, invitations and their log, and what of cards and orders is theirs."""

from models import migrating
from tortoise.migrations import operations as ops
from kernel.organisation_states import InvitationState, MemberState, OrganisationAction, OrganisationRole, OrganisationState
from models.fields import UtcDatetimeField
from models.operations import AppendOnly, AppendOnlyRows, Check, PartialIndex, Sql
from orjson import loads
from tortoise.fields.base import OnDelete
from tortoise.fields.data import JSON_DUMPS
from uuid import uuid4
from tortoise import fields
from tortoise.indexes import Index

LIMITS = ("recharge_max_fen", "daily_max_fen", "monthly_max_fen")
LIMITS_POSITIVE = " AND ".join(f"({limit} IS NULL OR {limit} > 0)" for limit in LIMITS)
OWNERLESS = (
    "EXISTS (SELECT 1 FROM organisation WHERE id = OLD.organisation_id AND state <> 'CLOSED') AND NOT EXISTS "
    "(SELECT 1 FROM organisation_member WHERE organisation_id = OLD.organisation_id AND role = 'OWNER' AND state = 'ACTIVE')"
)
KEEPS_AN_OWNER = "an organisation keeps an owner"


class Migration(migrating.Migration):
    dependencies = [('models', '0019_step_up'), ('models', '0025_case_versions')]

    initial = False

    operations = [
        ops.CreateModel(
            name='Organisation',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('name', fields.CharField(max_length=64)),
                ('credit_code', fields.CharField(max_length=18)),
                ('state', fields.CharEnumField(description='ACTIVE: ACTIVE\nSUSPENDED: SUSPENDED\nCLOSED: CLOSED', enum_type=OrganisationState, max_length=16)),
                ('created_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('closed_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'organisation', 'app': 'models', 'pk_attr': 'id', 'table_description': 'An enterprise, known by its unified social credit code (统一社会信用代码).'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='OrganisationInvitation',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('organisation', fields.ForeignKeyField('models.Organisation', source_field='organisation_id', db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT)),
                ('name', fields.CharField(max_length=64)),
                ('role', fields.CharEnumField(description='OWNER: OWNER\nADMIN: ADMIN\nACCOUNTANT: ACCOUNTANT\nDRIVER: DRIVER', enum_type=OrganisationRole, max_length=16)),
                ('all_cards', fields.BooleanField()),
                ('recharge_max_fen', fields.BigIntField(null=True)),
                ('daily_max_fen', fields.BigIntField(null=True)),
                ('monthly_max_fen', fields.BigIntField(null=True)),
                ('code_digest', fields.CharField(unique=True, max_length=64)),
                ('phone_digest', fields.CharField(null=True, max_length=64)),
                ('phone_masked', fields.CharField(null=True, max_length=24)),
                ('state', fields.CharEnumField(description='OPEN: OPEN\nACCEPTED: ACCEPTED\nWITHDRAWN: WITHDRAWN', enum_type=InvitationState, max_length=16)),
                ('invited_by', fields.UUIDField()),
                ('member_id', fields.UUIDField(null=True)),
                ('created_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('expires_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('ended_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'organisation_invitation', 'app': 'models', 'indexes': [Index(fields=['organisation_id', 'id'])], 'pk_attr': 'id', 'table_description': 'What whoever has the code may become. The code is kept as its digest, and a phone as its keyed one.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='OrganisationLogEntry',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('organisation_id', fields.UUIDField()),
                ('action', fields.CharEnumField(description='CREATED: CREATED\nRENAMED: RENAMED\nSUSPENDED: SUSPENDED\nRESUMED: RESUMED\nCLOSED: CLOSED\nINVITED: INVITED\nINVITATION_WITHDRAWN: INVITATION_WITHDRAWN\nJOINED: JOINED\nLEFT: LEFT\nREMOVED: REMOVED\nROLE_CHANGED: ROLE_CHANGED\nOWNERSHIP_TRANSFERRED: OWNERSHIP_TRANSFERRED\nLIMITS_SET: LIMITS_SET\nCARDS_SHARED: CARDS_SHARED\nCARD_ADDED: CARD_ADDED\nCARD_REMOVED: CARD_REMOVED', enum_type=OrganisationAction, max_length=32)),
                ('actor', fields.CharField(max_length=96)),
                ('actor_member_id', fields.UUIDField(null=True)),
                ('member_id', fields.UUIDField(null=True)),
                ('before', fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ('after', fields.JSONField(encoder=JSON_DUMPS, decoder=loads)),
                ('occurred_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'organisation_log', 'app': 'models', 'indexes': [Index(fields=['organisation_id', 'id'])], 'pk_attr': 'id', 'table_description': 'One change of an organisation: who, what, before, after, and when. Never changed.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='OrganisationMember',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('organisation', fields.ForeignKeyField('models.Organisation', source_field='organisation_id', db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT)),
                ('user', fields.ForeignKeyField('models.User', source_field='user_id', db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT)),
                ('name', fields.CharField(max_length=64)),
                ('role', fields.CharEnumField(description='OWNER: OWNER\nADMIN: ADMIN\nACCOUNTANT: ACCOUNTANT\nDRIVER: DRIVER', enum_type=OrganisationRole, max_length=16)),
                ('state', fields.CharEnumField(description='ACTIVE: ACTIVE\nLEFT: LEFT\nREMOVED: REMOVED\nCLOSED: CLOSED', enum_type=MemberState, max_length=16)),
                ('all_cards', fields.BooleanField()),
                ('recharge_max_fen', fields.BigIntField(null=True)),
                ('daily_max_fen', fields.BigIntField(null=True)),
                ('monthly_max_fen', fields.BigIntField(null=True)),
                ('joined_at', UtcDatetimeField(auto_now=False, auto_now_add=False)),
                ('ended_at', UtcDatetimeField(null=True, auto_now=False, auto_now_add=False)),
            ],
            options={'table': 'organisation_member', 'app': 'models', 'indexes': [Index(fields=['organisation_id', 'id']), Index(fields=['user_id', 'state'])], 'pk_attr': 'id', 'table_description': 'A user in an organisation, under the name that they have there. A limit that is empty is none.'},
            bases=['Model'],
        ),
        ops.CreateModel(
            name='OrganisationMemberCard',
            fields=[
                ('id', fields.UUIDField(primary_key=True, default=uuid4, unique=True, db_index=True)),
                ('member', fields.ForeignKeyField('models.OrganisationMember', source_field='member_id', db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT)),
                ('card', fields.ForeignKeyField('models.FuelCard', source_field='card_id', db_constraint=True, to_field='id', on_delete=OnDelete.RESTRICT)),
            ],
            options={'table': 'organisation_member_card', 'app': 'models', 'unique_together': (('member', 'card'),), 'pk_attr': 'id', 'table_description': 'A card that is shared with a member by name. Who has all of them needs none of these.'},
            bases=['Model'],
        ),
        ops.AddField(
            model_name='FuelCard',
            name='organisation_id',
            field=fields.UUIDField(null=True),
        ),
        ops.AddField(
            model_name='RechargeOrder',
            name='member_id',
            field=fields.UUIDField(null=True),
        ),
        ops.AddField(
            model_name='RechargeOrder',
            name='organisation_id',
            field=fields.UUIDField(null=True),
        ),
        Check("organisation", "organisation_closed_at_a_time", "(state = 'CLOSED') = (closed_at IS NOT NULL)"),
        # An enterprise is here once; who has closed it may come back.
        PartialIndex("organisation", "organisation_one_of_a_code", "credit_code", "state <> 'CLOSED'", unique=True),
        Check("organisation_member", "organisation_member_limits_positive", LIMITS_POSITIVE),
        Check("organisation_member", "organisation_member_ended_at_a_time", "(state = 'ACTIVE') = (ended_at IS NULL)"),
        PartialIndex("organisation_member", "organisation_member_once", "organisation_id, user_id", "state = 'ACTIVE'", unique=True),
        Sql(
            KEEPS_AN_OWNER,
            postgres=[
                "CREATE FUNCTION organisation_keeps_an_owner() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN "
                f"IF {OWNERLESS} THEN RAISE EXCEPTION '{KEEPS_AN_OWNER}' USING ERRCODE = 'integrity_constraint_violation'; END IF; "
                "RETURN NULL; END $$",
                "CREATE TRIGGER organisation_member_keeps_an_owner AFTER UPDATE OR DELETE ON organisation_member "
                "FOR EACH ROW EXECUTE FUNCTION organisation_keeps_an_owner()",
            ],
            sqlite=[
                f"CREATE TRIGGER organisation_member_keeps_an_owner_{event.lower()} AFTER {event} ON organisation_member "
                f"WHEN {OWNERLESS} BEGIN SELECT RAISE(ABORT, '{KEEPS_AN_OWNER}'); END"
                for event in ("UPDATE", "DELETE")
            ],
        ),
        Check("organisation_invitation", "organisation_invitation_limits_positive", LIMITS_POSITIVE),
        Check("organisation_invitation", "organisation_invitation_ended_at_a_time", "(state = 'OPEN') = (ended_at IS NULL)"),
        Check("organisation_invitation", "organisation_invitation_accepted_by_somebody", "(state = 'ACCEPTED') = (member_id IS NOT NULL)"),
        AppendOnly("organisation_log"),
        AppendOnlyRows("organisation_log", "id"),
        Check("fuel_card", "fuel_card_of_organisation_is_bound", "organisation_id IS NULL OR unbound_at IS NULL"),
        PartialIndex("fuel_card", "fuel_card_of_organisation", "organisation_id, number_digest", "organisation_id IS NOT NULL", unique=True),
        PartialIndex("recharge_order", "recharge_order_of_organisation", "organisation_id, id", "organisation_id IS NOT NULL"),
        PartialIndex("recharge_order", "recharge_order_of_member", "organisation_id, user_id, created_at", "organisation_id IS NOT NULL"),
        Check("recharge_order", "recharge_order_as_a_member", "(organisation_id IS NULL) = (member_id IS NULL)"),
    ]
