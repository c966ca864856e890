"""How something of the schema is announced to go: `deprecation_reason=deprecation("Use `x`.", since=…, removal=…)`.

The dates are part of the reason, since `@deprecated` has nothing else; `schema.contracts` refuses a reason without
them, and a removal before the second.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from graphql import (
    DirectiveNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    FieldDefinitionNode,
    InputObjectTypeDefinitionNode,
    InterfaceTypeDefinitionNode,
    ObjectTypeDefinitionNode,
    StringValueNode,
)

# Partners release a few times a year, and their own users update some weeks later.
NOTICE_DAYS_MIN = 90
DATES = re.compile(r"Deprecated since (\d{4}-\d{2}-\d{2}); it stays until (\d{4}-\d{2}-\d{2})\.$")
DEPRECATED = "deprecated"


def deprecation(instead: str, *, since: date, removal: date) -> str:
    """Return the reason of a deprecation: whole sentences that say what to use instead, then both dates.

    From `removal` on it may be gone. Raises ValueError where that is less than NOTICE_DAYS_MIN after `since`.
    """
    if removal - since < timedelta(days=NOTICE_DAYS_MIN):
        raise ValueError(
            f"a removal is announced {NOTICE_DAYS_MIN} days before at least, not from {since} to {removal}"
        )
    return f"{instead} Deprecated since {since.isoformat()}; it stays until {removal.isoformat()}."


def dates_of(reason: str) -> tuple[date, date] | None:
    """Return since when something is deprecated and until when it stays; None where the reason has no such dates."""
    found = DATES.search(reason)
    try:
        return (date.fromisoformat(found[1]), date.fromisoformat(found[2])) if found else None
    except ValueError:
        return None


def members(document: DocumentNode) -> Iterator[tuple[str, Any]]:
    """Yield the schema coordinate and the node of every field, argument, input field and enum value of an SDL."""
    for definition in document.definitions:
        if isinstance(definition, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode):
            for field in definition.fields or ():
                yield from _field(definition.name.value, field)
        elif isinstance(definition, InputObjectTypeDefinitionNode):
            for each in definition.fields or ():
                yield f"{definition.name.value}.{each.name.value}", each
        elif isinstance(definition, EnumTypeDefinitionNode):
            for value in definition.values or ():
                yield f"{definition.name.value}.{value.name.value}", value


def deprecations(document: DocumentNode) -> dict[str, str]:
    """Return the reasons of what is deprecated in an SDL, by schema coordinate."""
    return {
        coordinate: _reason(directive)
        for coordinate, node in members(document)
        for directive in node.directives or ()
        if directive.name.value == DEPRECATED
    }


def _field(parent: str, field: FieldDefinitionNode) -> Iterator[tuple[str, Any]]:
    coordinate = f"{parent}.{field.name.value}"
    yield coordinate, field
    for argument in field.arguments or ():
        yield f"{coordinate}({argument.name.value}:)", argument


def _reason(directive: DirectiveNode) -> str:
    for argument in directive.arguments or ():
        if isinstance(argument.value, StringValueNode):
            return argument.value.value
    return ""
