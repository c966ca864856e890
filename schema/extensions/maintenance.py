"""Under maintenance nothing is changed: every mutation is refused before its resolver is called.

The guard is part of the schema's own fields, so it holds whatever the transport, and costs one look at a variable.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from graphql import GraphQLResolveInfo, GraphQLSchema, default_field_resolver

from domain.switches.switchboard import UnderMaintenance
from schema.execution.guards import Guarded
from schema.extensions.access import members_of
from schema.types.availability import is_available_in_maintenance
from schema.types.context import Context
from schema.types.errors import MaintenanceError, to_user_error


def guard_mutations(schema: GraphQLSchema) -> None:
    """Put the guard before every mutation that is not marked as available in maintenance."""
    for field in schema.mutation_type.fields.values() if schema.mutation_type else ():
        if not is_available_in_maintenance(field):
            guard = partial(_guarded, has_member=MaintenanceError.__name__ in members_of(field))
            field.resolve = Guarded(field.resolve or default_field_resolver, guard)


def _guarded(resolve: Callable[..., Any], *, has_member: bool) -> Callable[..., Any]:
    """Return the resolver behind the guard; `has_member` says that the refusal is a member of what it answers."""

    def guarded(source: object, info: GraphQLResolveInfo[Any], /, **arguments: Any) -> Any:
        context: Context = info.context
        try:
            context.services.switches.require_open()
        except UnderMaintenance as error:
            if not has_member:
                raise
            return to_user_error(error, context.locale)
        return resolve(source, info, **arguments)

    return guarded
