"""The log of an organisation as its members see it."""

from __future__ import annotations

from typing import Self
from uuid import UUID

import strawberry

from models.organisations import OrganisationLogEntry
from schema.types import costs
from schema.types.organisation_enums import OrganisationAction
from schema.types.relations import by_viewer, relation
from schema.types.relay import Connection, Node, global_id
from schema.types.scalars import DateTime

# An entry names what was changed by one mutation, and those have no more fields.
CHANGES = 8


@strawberry.type(description="One thing that was changed.")
class LoggedChange:
    name: str = strawberry.field(description="What, such as `role` or `perDay`.")
    before: str | None = strawberry.field(description="What it was; null where there was nothing.")
    after: str | None = strawberry.field(description="What it became; null where nothing is left.")


@strawberry.type(description="One change of an organisation: who, what, before, after, and when. It is kept for good.")
class OrganisationLogItem(Node):
    action: OrganisationAction = strawberry.field(description="What happened.")
    changes: list[LoggedChange] = strawberry.field(
        directives=[costs.at_most(CHANGES)], description="What was changed by it."
    )
    at: DateTime = strawberry.field(description="When.")
    actor_key: strawberry.Private[UUID | None]
    member_key: strawberry.Private[UUID | None]

    @relation(
        lambda loaders: loaders.organisations.member_names,
        by=by_viewer("actor_key"),
        directives=[costs.READ],
        description="The member who did it; null for whoever runs the service.",
    )
    @staticmethod
    def actor_name(name: str | None) -> str | None:
        return name

    @relation(
        lambda loaders: loaders.organisations.member_names,
        by=by_viewer("member_key"),
        directives=[costs.READ],
        description="The member whom it is about, where it is about one.",
    )
    @staticmethod
    def member_name(name: str | None) -> str | None:
        return name

    @classmethod
    def of(cls, row: OrganisationLogEntry) -> Self:
        names = dict.fromkeys([*row.before, *row.after])
        return cls(
            id=global_id("OrganisationLogItem", row.id),
            action=row.action,
            changes=[LoggedChange(name=name, before=row.before.get(name), after=row.after.get(name)) for name in names],
            at=DateTime(row.occurred_at),
            actor_key=row.actor_member_id,
            member_key=row.member_id,
        )


OrganisationLogConnection = Connection[OrganisationLogItem]
