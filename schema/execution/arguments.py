"""The arguments of one field at one place: constants are read when it is compiled, variables for each call."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from graphql import (
    ArgumentNode,
    FieldNode,
    GraphQLArgument,
    GraphQLField,
    ListValueNode,
    ObjectValueNode,
    Undefined,
    ValueNode,
    VariableNode,
    is_non_null_type,
    is_required_argument,
)
from graphql.execution.values import get_argument_values
from graphql.utilities import coerce_input_literal
from graphql.utilities.coerce_input_value import coerce_default_value

from schema.execution.running import Run
from schema.execution.variables import is_immutable

# Turns what graphql-core makes of an argument into what the resolver takes.
Convert: TypeAlias = Callable[[Any, Run], Any]
# Returns the value of an argument, or Undefined where there is none, which is not an error.
Read: TypeAlias = Callable[[Run], Any]


class Parameter:
    """How a resolver takes one argument: under which name, and converted how; None where it is taken as it is."""

    __slots__ = ("convert", "name")

    def __init__(self, name: str, convert: Convert | None) -> None:
        self.name, self.convert = name, convert


class _Irregular(Exception):
    """graphql-core has to read these arguments, and to say what is wrong with them."""


class Arguments:
    """What the arguments of a call are. `constant` has them all where none depends on the request, else it is None."""

    __slots__ = ("_definition", "_fixed", "_node", "_parameters", "_reads", "constant")

    def __init__(self, definition: GraphQLField, node: FieldNode, parameters: Mapping[str, Parameter]) -> None:
        """`parameters` are by the names that graphql-core gives to arguments; others are not for the resolver."""
        self._definition, self._node, self._parameters = definition, node, parameters
        self._fixed: dict[str, Any] = {}
        self._reads: list[tuple[Parameter, Read]] | None = []
        given = {each.name.value: each for each in node.arguments or ()}
        try:
            for name, argument in definition.args.items():
                self._add(argument, argument.out_name or name, given.get(name))
        except (_Irregular, TypeError):
            self._reads = None
        self.constant: dict[str, Any] | None = self._fixed if self._reads == [] else None

    @property
    def converts(self) -> bool:
        """Whether anything is converted on the way to the resolver, which may fail."""
        return any(each.convert is not None for each in self._parameters.values())

    def read(self, run: Run) -> dict[str, Any]:
        """Return the arguments by the resolver's names, anew for each call. Raises GraphQLError."""
        if self._reads is None:
            return self._by_core(run)
        values = dict(self._fixed)
        try:
            for parameter, read in self._reads:
                value = read(run)
                if value is not Undefined:
                    values[parameter.name] = parameter.convert(value, run) if parameter.convert else value
        except _Irregular:
            return self._by_core(run)
        return values

    def _by_core(self, run: Run) -> dict[str, Any]:
        hide_suggestions = run.operation.hide_suggestions
        given = get_argument_values(self._definition, self._node, run.variables, None, hide_suggestions)
        return {
            parameter.name: parameter.convert(given[name], run) if parameter.convert else given[name]
            for name, parameter in self._parameters.items()
            if name in given
        }

    def _add(self, argument: GraphQLArgument, name: str, node: ArgumentNode | None) -> None:
        """Note how to read an argument. Raises _Irregular, or TypeError where its default is no value of its type."""
        assert self._reads is not None
        parameter = self._parameters.get(name)
        if parameter is None:
            return
        default = coerce_default_value(argument)
        if node is None:
            if is_required_argument(argument):
                raise _Irregular
            value = default
        elif isinstance(node.value, VariableNode):
            self._reads.append((parameter, _variable(node.value.name.value, argument, default)))
            return
        elif _has_variables(node.value):
            self._reads.append((parameter, _literal(node.value, argument)))
            return
        else:
            value = coerce_input_literal(node.value, argument.type)
            if value is Undefined:
                raise _Irregular
        if value is Undefined:
            return
        if parameter.convert is None and is_immutable(value):
            self._fixed[parameter.name] = value
        elif node is None:
            self._reads.append((parameter, lambda _run: value))
        else:
            # What could be changed is made anew for each call, as whoever gets it may do with it as they like.
            self._reads.append((parameter, _literal(node.value, argument)))


def _variable(name: str, argument: GraphQLArgument, default: Any) -> Read:
    required, non_null = is_required_argument(argument), is_non_null_type(argument.type)

    def read(run: Run) -> Any:
        value = run.coerced.get(name, Undefined)
        if value is Undefined:
            if required:
                raise _Irregular
            return default
        if value is None and non_null:
            raise _Irregular
        return value

    return read


def _literal(node: ValueNode, argument: GraphQLArgument) -> Read:
    def read(run: Run) -> Any:
        value = coerce_input_literal(node, argument.type, run.variables)
        if value is Undefined:
            raise _Irregular
        return value

    return read


def _has_variables(node: ValueNode) -> bool:
    if isinstance(node, VariableNode):
        return True
    if isinstance(node, ListValueNode):
        return any(map(_has_variables, node.values))
    return isinstance(node, ObjectValueNode) and any(_has_variables(each.value) for each in node.fields)
