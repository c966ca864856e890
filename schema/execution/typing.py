"""Of which object type a value is, as the types of the schema decide it, and whether its class alone decides that.

strawberry looks through all types of the schema for each value. For a class that is itself one of them, and not
generic, it always comes to the same end, unless `strawberry.cast` has marked the value.
"""

from __future__ import annotations

from typing import Any, cast

from graphql import GraphQLObjectType, default_type_resolver
from graphql.execution.executor import Executor
from strawberry.types.base import StrawberryObjectDefinition, get_object_definition
from strawberry.types.cast import TYPE_CAST_ATTRIBUTE
from strawberry.types.union import StrawberryUnion

from schema.execution.classes import DEFINITION
from schema.execution.running import Place, ResolveInfo, Run, Site

# What `strawberry.cast` leaves in a value.
CAST = TYPE_CAST_ATTRIBUTE


def is_cast(value: object) -> bool:
    return getattr(value, CAST, None) is not None


def is_checked_by_class(kind: GraphQLObjectType) -> bool:
    """Whether the type, where it checks values at all, looks at nothing but their class."""
    if kind.is_type_of is None:
        return True
    definition = kind.extensions.get(DEFINITION)
    return isinstance(definition, StrawberryObjectDefinition) and definition.is_type_of is None


def is_found_by_class(kind: Any, found: GraphQLObjectType, value: object) -> bool:
    """Whether every value of this class that is not cast would be found to be of the same type, of these of `kind`."""
    own = get_object_definition(type(value))
    if own is None or own.is_graphql_generic or found.extensions.get(DEFINITION) is not own:
        return False
    abstract = kind.extensions.get(DEFINITION)
    if isinstance(abstract, StrawberryUnion):
        return True
    return (
        isinstance(abstract, StrawberryObjectDefinition)
        and abstract.resolve_type is None
        and isinstance(value, abstract.origin)
    )


def type_name_of(kind: Any, site: Site, run: Run, value: object, place: Place) -> Any:
    """Return the name of the value's type, or something to be awaited for it."""
    resolve = kind.resolve_type or default_type_resolver
    return resolve(value, cast(Any, ResolveInfo(run, site, place)), kind)


def valid_type(name: Any, kind: Any, site: Site, run: Run, value: object, place: Place) -> GraphQLObjectType:
    """Return the type of this name. Raises GraphQLError, in graphql-core's words, where there is none or another."""
    info = cast(Any, ResolveInfo(run, site, place))
    # All that the executor's method looks at is the schema.
    executor = cast("Executor[Any]", run.operation)
    return Executor.ensure_valid_runtime_type(executor, name, kind, site.details, info, value)
