"""Who may have a field is decided here, before its resolver or stream begins, on whatever transport it was asked for.

The directives of `schema.types.requirements` say what a field takes. The check is part of the schema's own fields, so
HTTP, WebSocket, event streams and webhooks, which all execute the one schema, cannot go around it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from inspect import isawaitable
from typing import Any

from graphql import (
    GraphQLField,
    GraphQLObjectType,
    GraphQLResolveInfo,
    GraphQLSchema,
    GraphQLUnionType,
    default_field_resolver,
    get_nullable_type,
)

from domain.identity import scopes, staff
from kernel.errors import YoukaError
from schema.execution.guards import Guarded, Resolve
from schema.types.context import Context
from schema.types.errors import to_user_error
from schema.types.requirements import Authenticated, Public, Requirement, RequiresRole, RequiresScopes, requirements_of
from schema.types.user_error import UserError


def guard_fields(schema: GraphQLSchema) -> None:
    """Put the check before every field that requires something."""
    for parent, field in _fields(schema):
        for requirement in requirements_of(field):
            if isinstance(requirement, Public):
                continue
            if parent is schema.subscription_type:
                assert field.subscribe is not None, "a subscription's stream is begun by its resolver"
                field.subscribe = _guarded(field.subscribe, requirement=requirement, members=frozenset())
            else:
                guard = partial(_guarded, requirement=requirement, members=members_of(field))
                field.resolve = Guarded(field.resolve or default_field_resolver, guard, repeatable=True)


def undecided(schema: GraphQLSchema) -> list[str]:
    """Return the root fields of which not exactly one directive says who may have them."""
    roots = (schema.query_type, schema.mutation_type, schema.subscription_type)
    return [
        f"{parent.name}.{name}"
        for parent in roots
        if parent
        for name, field in parent.fields.items()
        if len(requirements_of(field)) != 1
    ]


def members_of(field: GraphQLField) -> frozenset[str]:
    """Return the names of the types in the payload union that the field answers; none where it is no union."""
    answered = get_nullable_type(field.type)
    return frozenset(kind.name for kind in answered.types) if isinstance(answered, GraphQLUnionType) else frozenset()


def _fields(schema: GraphQLSchema) -> Iterator[tuple[GraphQLObjectType, GraphQLField]]:
    for parent in schema.type_map.values():
        if isinstance(parent, GraphQLObjectType):
            yield from ((parent, field) for field in parent.fields.values())


def _guarded(resolve: Resolve, *, requirement: Requirement, members: frozenset[str]) -> Resolve:
    """Return the resolver behind the check. Only a role takes a look at the database, so only that one is awaited.

    A field may have arguments that are called `source` or `info`, so these two have no names here.
    """

    check = _check_of(requirement)

    def guarded(source: object, info: GraphQLResolveInfo[Any], /, **arguments: Any) -> Any:
        context: Context = info.context
        try:
            check(context)
        except YoukaError as error:
            return _refused(error, context, members)
        return resolve(source, info, **arguments)

    async def guarded_by_role(source: object, info: GraphQLResolveInfo[Any], /, **arguments: Any) -> Any:
        assert isinstance(requirement, RequiresRole)
        context: Context = info.context
        try:
            await staff.require(viewer=context.signed_in, roles=frozenset(requirement.roles))
        except YoukaError as error:
            return _refused(error, context, members)
        answer = resolve(source, info, **arguments)
        return await answer if isawaitable(answer) else answer

    return guarded_by_role if isinstance(requirement, RequiresRole) else guarded


def _check_of(requirement: Requirement) -> Callable[[Context], object]:
    """Return what raises NotSignedIn or ScopeMissing where the token in a context is not what is required."""
    if isinstance(requirement, RequiresScopes):
        alternatives = requirement.scopes
        return lambda context: scopes.require(viewer=context.signed_in, alternatives=alternatives)
    assert isinstance(requirement, Authenticated | RequiresRole), requirement
    return lambda context: context.signed_in


def _refused(error: YoukaError, context: Context, members: frozenset[str]) -> UserError:
    """Return the refusal as a member of the payload, or raise it where the payload has none such."""
    typed = to_user_error(error, context.locale)
    if typed is None or type(typed).__name__ not in members:
        raise error
    return typed
