"""Which class the values of an object type are of, where that alone decides that they are."""

from __future__ import annotations

from graphql import GraphQLObjectType
from strawberry.types.base import StrawberryObjectDefinition

DEFINITION = "strawberry-definition"


def class_of(kind: GraphQLObjectType) -> type | None:
    """Return the only class whose values are of the type, where their class alone decides it; None where not."""
    definition = kind.extensions.get(DEFINITION)
    if not isinstance(definition, StrawberryObjectDefinition) or definition.is_type_of is not None:
        return None
    # What is made from a generic type is of a class that no value is of.
    return None if definition.concrete_of is not None or definition.is_graphql_generic else definition.origin


def generic_of(kind: GraphQLObjectType) -> type | None:
    """Return the generic class that a type was made from, of which its values are; None where there is none."""
    definition = kind.extensions.get(DEFINITION)
    if not isinstance(definition, StrawberryObjectDefinition) or definition.concrete_of is None:
        return None
    return definition.concrete_of.origin
