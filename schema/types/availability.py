"""What can be done while the service is under maintenance: `@availableInMaintenance` on the fields of Mutation."""

from __future__ import annotations

from typing import Any

import strawberry
from graphql import GraphQLField
from strawberry.schema_directive import Location


@strawberry.schema_directive(
    locations=[Location.FIELD_DEFINITION],
    name="availableInMaintenance",
    description="The mutation works also while the service is under maintenance; all others are refused then.",
)
class AvailableInMaintenance:
    pass


AVAILABLE_IN_MAINTENANCE = AvailableInMaintenance()


def is_available_in_maintenance(field: GraphQLField) -> bool:
    definition: Any = field.extensions.get("strawberry-definition")
    directives = definition.directives if definition is not None else ()
    return any(isinstance(each, AvailableInMaintenance) for each in directives)
