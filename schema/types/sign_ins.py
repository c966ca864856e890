"""The audit of sign-ins, as its owner and staff see it."""

from __future__ import annotations

from typing import Self

import strawberry

from models.sign_ins import SignInLock as LockRow
from models.sign_ins import SignInRecord
from schema.types import costs
from schema.types.access_enums import SignInKind, SignInSignal
from schema.types.context import Info
from schema.types.relay import Connection, Node, global_id
from schema.types.scalars import DateTime


@strawberry.type(description="One line of the audit of sign-ins, which nobody can change.")
class SignIn(Node):
    occurred_at: DateTime = strawberry.field(description="When it was.")
    kind: SignInKind = strawberry.field(description="What happened.")
    reason: str | None = strawberry.field(description="Why, as a code, where that is known.")
    signals: list[SignInSignal] = strawberry.field(
        directives=[costs.at_most(10)], description="What was unusual about it."
    )
    grant_type: str | None = strawberry.field(description="By which door, in the words of OAuth; null for sign-outs.")
    device_name: str | None = strawberry.field(description="How the device called itself.")
    network: str | None = strawberry.field(description="The network that the address is of, such as `203.0.0.0/16`.")
    place: str | None = strawberry.field(
        description="The city, or else the place in hundredths of a degree: `31.23,121.47`."
    )
    client_id: strawberry.Private[str]

    @strawberry.field(description="The program, for people.")
    async def client_name(self, info: Info) -> str:
        return await info.context.loaders.client_names.load(self.client_id)

    @classmethod
    def of(cls, row: SignInRecord) -> Self:
        return cls(
            id=global_id("SignIn", row.id),
            occurred_at=DateTime(row.occurred_at),
            kind=row.kind,
            reason=row.reason or None,
            signals=[SignInSignal(each) for each in row.signals],
            grant_type=row.grant_type or None,
            device_name=row.device_name or None,
            network=row.address_masked or None,
            place=_place(row),
            client_id=row.client_id,
        )


def _place(row: SignInRecord) -> str | None:
    if row.latitude_centi is None or row.longitude_centi is None:
        return None
    return row.city or f"{row.latitude_centi / 100:.2f},{row.longitude_centi / 100:.2f}"


SignInConnection = Connection[SignIn]


@strawberry.type(description="Too many failures of one user, client or address; nobody is let in for a while.")
class SignInLock:
    id: strawberry.ID = strawberry.field(description="Opaque and stable.")
    subject: str = strawberry.field(description="What is locked: `owner`, `client` or `address`.")
    name: str | None = strawberry.field(description="The client, or the network of the address.")
    user_id: strawberry.ID | None = strawberry.field(description="The account, for `signIns`, where it is one.")
    failures: int = strawberry.field(description="How many there were.")
    locked_until: DateTime | None = strawberry.field(description="Until when; null where it is over.")

    @classmethod
    def of(cls, row: LockRow) -> Self:
        return cls(
            id=global_id("SignInLock", row.id),
            subject=row.subject.partition(":")[0],
            name=row.display or None,
            user_id=global_id("Profile", row.owner_id) if row.owner_id else None,
            failures=row.failures,
            locked_until=DateTime(row.locked_until) if row.locked_until else None,
        )
