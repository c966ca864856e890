"""Values of variables as graphql-core reads them: what a type asks for is found once, and looked at for each request.

Whatever does not fit raises an error without words, since graphql-core reads it again and has them.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from graphql import (
    GraphQLInputObjectType,
    GraphQLInputType,
    GraphQLList,
    GraphQLNonNull,
    Undefined,
    assert_leaf_type,
    is_required_input_field,
)
from graphql.execution.values import input_is_nested_too_deeply
from graphql.pyutils import is_iterable
from graphql.utilities import coerce_input_value
from graphql.utilities.coerce_input_value import coerce_default_value

# Raises whatever it comes upon where a value does not fit.
Coerce: TypeAlias = Callable[[Any], Any]


class Misfit(Exception):
    """The value is none of its type."""


def coercion_of(type_: GraphQLInputType) -> Coerce:
    """Return what reads a value of this type that is given."""
    if _is_common(type_, ()):
        return _coercion(type_)

    def coerce(value: Any) -> Any:
        read = Undefined if input_is_nested_too_deeply(value, type_) else coerce_input_value(value, type_)
        if read is Undefined:
            raise Misfit
        return read

    return coerce


def _is_common(type_: Any, around: tuple[Any, ...]) -> bool:
    """Whether nothing in the type is the type again, so that its values are no deeper than it, or one of several."""
    while isinstance(type_, GraphQLNonNull | GraphQLList):
        type_ = type_.of_type
    if not isinstance(type_, GraphQLInputObjectType):
        return True
    if type_ in around or type_.is_one_of:
        return False
    return all(_is_common(each.type, (*around, type_)) for each in type_.fields.values())


def _coercion(type_: Any) -> Coerce:
    if isinstance(type_, GraphQLNonNull):
        return _required(_coercion(type_.of_type))
    if isinstance(type_, GraphQLList):
        return _list(_coercion(type_.of_type))
    if isinstance(type_, GraphQLInputObjectType):
        return _object(type_)
    read = assert_leaf_type(type_).coerce_input_value

    def leaf(value: Any) -> Any:
        if value is None:
            return None
        found = read(value)
        if found is Undefined:
            raise Misfit
        return found

    return leaf


def _required(coerce: Coerce) -> Coerce:
    def required(value: Any) -> Any:
        if value is None:
            raise Misfit
        return coerce(value)

    return required


def _list(coerce: Coerce) -> Coerce:
    def items(value: Any) -> Any:
        if value is None:
            return None
        return [coerce(each) for each in value] if is_iterable(value) else [coerce(value)]

    return items


def _object(type_: GraphQLInputObjectType) -> Coerce:
    fields = [
        (name, field.out_name or name, _coercion(field.type), is_required_input_field(field), field)
        for name, field in type_.fields.items()
    ]
    names, made = type_.fields.keys(), type_.out_type

    def coerced(value: Any) -> Any:
        if value is None:
            return None
        if not isinstance(value, dict) or not value.keys() <= names:
            raise Misfit
        read = {}
        for name, out_name, coerce, required, field in fields:
            if name in value:
                read[out_name] = coerce(value[name])
            elif required:
                raise Misfit
            else:
                default = coerce_default_value(field)
                if default is not Undefined:
                    read[out_name] = default
        return made(read)

    return coerced
