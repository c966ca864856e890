"""An organisation as cards and orders name it."""

from __future__ import annotations

from typing import Self

import strawberry

from models.organisations import Organisation as Row
from schema.types.relay import global_id


@strawberry.type(description="Whose a card or an order is. Its members find the rest by `organisation(id)`.")
class OrganisationName:
    id: strawberry.ID = strawberry.field(description="The organisation's id.")
    name: str = strawberry.field(description="Its name.")

    @classmethod
    def of(cls, row: Row) -> Self:
        return cls(id=global_id("Organisation", row.id), name=row.name)
