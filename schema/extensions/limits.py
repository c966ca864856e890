"""How large a document may be, counted before it is validated, since validation is what a hostile one is aimed at.

Everything is counted as if fragments were written out where they are spread, and yet each definition is looked at once:
its counts are kept, and a spread adds them. A document of exponential size is measured in linear time.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any

import orjson
from graphql import (
    DefinitionNode,
    DocumentNode,
    FieldNode,
    FloatValueNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    GraphQLError,
    GraphQLSyntaxError,
    InlineFragmentNode,
    IntValueNode,
    ListValueNode,
    ObjectValueNode,
    OperationDefinitionNode,
    StringValueNode,
    parse,
)
from graphql.language import ExecutableDefinitionNode, ValueNode

from kernel.errors import YoukaError
from kernel.settings import Settings

# Counts stop here, so that adding them stays cheap and JSON can hold them.
COUNTED_MAX = 1_000_000_000
META_FIELDS = frozenset({"__schema", "__type"})


class DocumentLimitExceeded(YoukaError):
    """`limit` names what there is too much of, `maximum` how much there may be, `found` how much there is.

    `found` is null where counting stopped at the limit.
    """

    code = "DOCUMENT_LIMIT_EXCEEDED"
    messages = {
        "zh-CN": "请求超出限制：{limit} 最多 {maximum}",
        "en": "The request is over a limit: {limit} may be at most {maximum}",
    }


class IntrospectionDisabled(YoukaError):
    code = "INTROSPECTION_DISABLED"
    messages = {"zh-CN": "本服务不开放内省查询", "en": "Introspection is disabled here"}


@dataclass(frozen=True, slots=True)
class Limits:
    """How much there may be in one document, and of variables with it; docs/http.md says what each counts."""

    tokens: int = 5_000
    depth: int = 20
    fields: int = 500
    aliases: int = 50
    directives: int = 50
    spreads: int = 100
    values: int = 500
    value_length: int = 8_192
    variables_bytes: int = 64 * 1024
    introspection: bool = True
    suggestions: bool = True

    @classmethod
    def of(cls, settings: Settings) -> Limits:
        return cls(
            tokens=settings.document_tokens_max,
            depth=settings.document_depth_max,
            fields=settings.document_fields_max,
            aliases=settings.document_aliases_max,
            directives=settings.document_directives_max,
            spreads=settings.document_spreads_max,
            values=settings.document_values_max,
            value_length=settings.document_value_length_max,
            variables_bytes=settings.variables_size_max_bytes,
            introspection=settings.introspects,
            suggestions=settings.introspects,
        )


@dataclass(slots=True)
class Size:
    """What a document, or a part of it, holds. `visited` is how many nodes were looked at to know it."""

    depth: int = 0
    fields: int = 0
    aliases: int = 0
    directives: int = 0
    spreads: int = 0
    values: int = 0
    value_length: int = 0
    introspects: bool = False
    visited: int = 0

    def add(self, other: Size, *, below: int) -> None:
        """Count a fragment's content where it is spread, at this depth."""
        self.depth = max(self.depth, below + other.depth)
        for name in ("fields", "aliases", "directives", "spreads", "values"):
            setattr(self, name, min(COUNTED_MAX, getattr(self, name) + getattr(other, name)))
        self.value_length = max(self.value_length, other.value_length)
        self.introspects = self.introspects or other.introspects


@dataclass(slots=True)
class _Part:
    """One definition: its own content, and which fragments it spreads at which depth."""

    own: Size
    spreads: list[tuple[str, int]] = field(default_factory=list)


def read(text: str, limits: Limits) -> DocumentNode:
    """Return the parsed document.

    Raises graphql.GraphQLSyntaxError, or GraphQLError around DocumentLimitExceeded or IntrospectionDisabled.
    """
    try:
        document = parse(text, max_tokens=limits.tokens)
    except GraphQLSyntaxError as error:
        if f"more than {limits.tokens} tokens" in error.message:
            raise _exceeded("TOKENS", limits.tokens, None) from None
        raise
    check(document, limits)
    return document


def check(document: DocumentNode, limits: Limits) -> None:
    """Raises GraphQLError around DocumentLimitExceeded or IntrospectionDisabled."""
    size = measure(document)
    for each in fields(size):
        maximum = getattr(limits, each.name, None)
        found = getattr(size, each.name)
        if maximum is not None and found > maximum:
            raise _exceeded(each.name.upper(), maximum, found)
    if size.introspects and not limits.introspection:
        raise GraphQLError("Introspection is disabled.", original_error=IntrospectionDisabled())


def check_variables(variables: dict[str, Any] | None, limits: Limits) -> None:
    """Raises GraphQLError around DocumentLimitExceeded."""
    found = len(orjson.dumps(variables)) if variables else 0
    if found > limits.variables_bytes:
        raise _exceeded("VARIABLES_BYTES", limits.variables_bytes, found)


def measure(document: DocumentNode) -> Size:
    """Return what the operations of a document hold, fragments written out; of several the most of each.

    A fragment that nothing spreads counts like an operation, and one that spreads itself counts once: that it may not,
    validation says.
    """
    fragments: dict[str, _Part] = {}
    others: list[_Part] = []
    for definition in document.definitions:
        part = _part(definition)
        # Of two fragments with one name, which validation refuses, the first is the one that is spread.
        if isinstance(definition, FragmentDefinitionNode) and definition.name.value not in fragments:
            fragments[definition.name.value] = part
        else:
            others.append(part)
    totals = _totals(fragments)
    whole = Size(visited=sum(part.own.visited for part in (*fragments.values(), *others)))
    for size in (*totals.values(), *(_written_out(part, totals) for part in others)):
        for each in fields(Size):
            if each.name != "visited":
                setattr(whole, each.name, max(getattr(whole, each.name), getattr(size, each.name)))
    return whole


def _totals(parts: dict[str, _Part]) -> dict[str, Size]:
    """Return each fragment's content with what it spreads, those first that others spread."""
    totals: dict[str, Size] = {}
    begun: set[str] = set()
    # Not by recursion: a chain of fragments may be longer than the interpreter's stack.
    for name in parts:
        waiting = [name]
        while waiting:
            current = waiting[-1]
            missing = [] if current in begun else [each for each, _ in parts[current].spreads]
            begun.add(current)
            missing = [each for each in missing if each in parts and each not in begun]
            if missing:
                waiting.extend(dict.fromkeys(missing))
                continue
            waiting.pop()
            if current not in totals:
                totals[current] = _written_out(parts[current], totals)
    return totals


def _written_out(part: _Part, totals: dict[str, Size]) -> Size:
    size = replace(part.own)
    for name, below in part.spreads:
        if name in totals:
            size.add(totals[name], below=below)
    return size


def _part(definition: DefinitionNode) -> _Part:
    """Look at each node of one definition once."""
    part = _Part(Size())
    if not isinstance(definition, ExecutableDefinitionNode):
        return part
    size = part.own
    _count_directives(definition, size)
    if isinstance(definition, OperationDefinitionNode):
        for variable in definition.variable_definitions or ():
            size.visited += 1
            _count_directives(variable, size)
            _count_values([variable.default_value] if variable.default_value else [], size)
    waiting: list[tuple[Any, int]] = [(each, 1) for each in _selections(definition)]
    while waiting:
        node, depth = waiting.pop()
        size.visited += 1
        _count_directives(node, size)
        if isinstance(node, FragmentSpreadNode):
            size.spreads += 1
            # What is spread stands where the spread stands, so it adds the levels above it.
            part.spreads.append((node.name.value, depth - 1))
            continue
        if isinstance(node, FieldNode):
            _count_field(node, depth, size)
            depth += 1
        else:
            # Inline fragments nest without a field; they count as a level, or nothing would bound them.
            assert isinstance(node, InlineFragmentNode)
            size.depth = max(size.depth, depth)
            depth += 1
        waiting.extend((each, depth) for each in _selections(node))
    return part


def _count_field(node: FieldNode, depth: int, size: Size) -> None:
    size.depth = max(size.depth, depth)
    size.fields += 1
    size.aliases += node.alias is not None
    size.introspects = size.introspects or node.name.value in META_FIELDS
    _count_values((argument.value for argument in node.arguments or ()), size)


def _count_directives(node: Any, size: Size) -> None:
    for directive in node.directives or ():
        size.visited += 1
        size.directives += 1
        _count_values((argument.value for argument in directive.arguments or ()), size)


def _count_values(values: Iterable[ValueNode], size: Size) -> None:
    waiting = list(values)
    while waiting:
        value = waiting.pop()
        size.visited += 1
        size.values += 1
        if isinstance(value, StringValueNode | IntValueNode | FloatValueNode):
            size.value_length = max(size.value_length, len(value.value))
        elif isinstance(value, ListValueNode):
            waiting.extend(value.values)
        elif isinstance(value, ObjectValueNode):
            waiting.extend(each.value for each in value.fields)


def _selections(node: Any) -> Iterator[Any]:
    return iter(node.selection_set.selections if node.selection_set else ())


def _exceeded(limit: str, maximum: int, found: int | None) -> GraphQLError:
    error = DocumentLimitExceeded(limit=limit, maximum=maximum, found=found)
    return GraphQLError(error.message("en"), original_error=error)
