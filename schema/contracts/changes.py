"""What has changed between two SDLs for those who use the first: what breaks them, and what might.

graphql-core finds most of it. It does not look at who may have a field, at what is announced to go, at `@oneOf`, nor at
a default whose loss makes an argument required; that is found here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLInputObjectType,
    GraphQLSchema,
    build_ast_schema,
    parse,
    print_ast,
    resolve_schema_coordinate,
)
from graphql.utilities import BreakingChangeType, DangerousChangeType, find_schema_changes

from schema.contracts.access import DIRECTIVES, is_stricter, said, taken
from schema.contracts.pruning import pruned
from schema.types.deprecating import DEPRECATED, dates_of, deprecations, members

COORDINATE = re.compile(r"@?[A-Za-z_]\w*(?:\.[A-Za-z_]\w*)?(?:\([A-Za-z_]\w*:\))?")
# What stands behind the type that loses or gains a member.
NAMED_LAST = (BreakingChangeType.TYPE_REMOVED_FROM_UNION, DangerousChangeType.TYPE_ADDED_TO_UNION)
# These say something else than how a field behaves, or are compared for themselves.
NOT_COMPARED = DIRECTIVES | {DEPRECATED}
# A change of these takes something from whoever relies on them.
BREAKING_DIRECTIVES = frozenset({"delivery"})


@dataclass(frozen=True, slots=True, order=True)
class Change:
    """`coordinate` names what has changed, as the specification writes it: `Type.field(argument:)`."""

    coordinate: str
    reason: str
    breaking: bool = True


def changes(released: str, current: str, *, today: date) -> list[Change]:
    """Return what breaks whoever uses the released SDL, or might; what is merely new is not in it.

    What was announced to go, and until a day that has come, may be gone. Raises GraphQLError or TypeError where one is
    no SDL.
    """
    after = parse(current)
    before = _without_expired(parse(released), after, today)
    old, new = build_ast_schema(before), build_ast_schema(after)
    announced = deprecations(before)
    found = [*_of_library(old, new, announced), *_of_one_of(old, new), *_of_defaults(old, new)]
    found += [*_of_members(before, after), *_of_dates(before, after)]
    return sorted(set(found), key=lambda each: (not each.breaking, each.coordinate, each.reason))


def undated(current: str) -> list[Change]:
    """Return what is deprecated in an SDL without the dates of `schema.types.deprecating`."""
    return [
        Change(coordinate, "is deprecated without a date until which it stays")
        for coordinate, reason in deprecations(parse(current)).items()
        if dates_of(reason) is None
    ]


def _without_expired(before: DocumentNode, after: DocumentNode, today: date) -> DocumentNode:
    present = {coordinate for coordinate, _ in members(after)}
    over = {
        coordinate
        for coordinate, reason in deprecations(before).items()
        if coordinate not in present and (dates := dates_of(reason)) and dates[1] <= today
    }
    return pruned(before, lambda coordinate, _: coordinate not in over) if over else before


def _of_library(old: GraphQLSchema, new: GraphQLSchema, announced: dict[str, str]) -> Iterator[Change]:
    for each in find_schema_changes(old, new):
        if not isinstance(each.type, BreakingChangeType | DangerousChangeType):
            continue
        coordinate = _coordinate(each.description, old, new, last=each.type in NAMED_LAST)
        reason = each.description.rstrip(".")
        if coordinate in announced and each.type.name.endswith(("_REMOVED", "_FROM_ENUM")):
            reason += f", which is announced as: {announced[coordinate]}"
        yield Change(coordinate, reason, isinstance(each.type, BreakingChangeType))


def _coordinate(text: str, old: GraphQLSchema, new: GraphQLSchema, *, last: bool) -> str:
    """Return the most exact coordinate of either schema that stands in a text of graphql-core's."""
    found: list[str] = [each for each in COORDINATE.findall(text) if _exists(each, old) or _exists(each, new)]
    assert found, f"graphql-core has named nothing in {text!r}"
    exact = [each for each in found if _exactness(each) == max(map(_exactness, found))]
    return exact[-1 if last else 0]


def _exactness(coordinate: str) -> tuple[bool, bool, bool]:
    return coordinate.startswith("@"), "(" in coordinate, "." in coordinate


def _exists(coordinate: str, schema: GraphQLSchema) -> bool:
    try:
        return resolve_schema_coordinate(schema, coordinate) is not None
    except (GraphQLError, ValueError):
        return False


def _of_one_of(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[Change]:
    for name, before in old.type_map.items():
        after = new.type_map.get(name)
        if isinstance(before, GraphQLInputObjectType) and isinstance(after, GraphQLInputObjectType):
            if after.is_one_of and not before.is_one_of:
                yield Change(name, f"{name} takes exactly one of its fields now")
            elif before.is_one_of and not after.is_one_of:
                yield Change(name, f"{name} may hold several of its fields now", breaking=False)


def _of_defaults(old: GraphQLSchema, new: GraphQLSchema) -> Iterator[Change]:
    """Yield arguments and input fields that are required since their default is gone."""
    after = dict(_inputs(new))
    for coordinate, before in _inputs(old):
        now = after.get(coordinate)
        if now is not None and _is_required(now) and not _is_required(before) and str(now.type) == str(before.type):
            yield Change(coordinate, f"{coordinate} has no default any more, so it is required")


def _inputs(schema: GraphQLSchema) -> Iterator[tuple[str, Any]]:
    for name, kind in schema.type_map.items():
        if name.startswith("__"):
            continue
        for field_name, field in getattr(kind, "fields", {}).items():
            if isinstance(kind, GraphQLInputObjectType):
                yield f"{name}.{field_name}", field
            for argument_name, argument in getattr(field, "args", {}).items():
                yield f"{name}.{field_name}({argument_name}:)", argument


def _is_required(given: Any) -> bool:
    node = given.ast_node
    return str(given.type).endswith("!") and node is not None and node.default_value is None


def _of_members(before: DocumentNode, after: DocumentNode) -> Iterator[Change]:
    """Yield what takes more now, and what is marked differently."""
    now = dict(members(after))
    for coordinate, node in members(before):
        if coordinate not in now:
            continue
        if is_stricter(taken(node), taken(now[coordinate])):
            took, takes = said(taken(node)), said(taken(now[coordinate]))
            yield Change(coordinate, f"{coordinate} takes {takes}; it took {took}")
        was, is_ = _marks(node), _marks(now[coordinate])
        for name in sorted(was.keys() | is_.keys()):
            if was.get(name) != is_.get(name):
                reason = f"{coordinate} has {is_.get(name) or f'no @{name}'}; it had {was.get(name) or 'none'}"
                yield Change(coordinate, reason, breaking=name in BREAKING_DIRECTIVES)


def _marks(node: Any) -> dict[str, str]:
    """Return the directives of a node as they are written."""
    return {each.name.value: print_ast(each) for each in node.directives or () if each.name.value not in NOT_COMPARED}


def _of_dates(before: DocumentNode, after: DocumentNode) -> Iterator[Change]:
    """Yield what was promised to stay for longer than it does now."""
    present = deprecations(after)
    for coordinate, reason in deprecations(before).items():
        promised, now = dates_of(reason), dates_of(present.get(coordinate, ""))
        if promised and now and now[1] < promised[1]:
            yield Change(coordinate, f"{coordinate} was to stay until {promised[1]}, and now until {now[1]} only")
