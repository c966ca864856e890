"""Who may have a field, as its SDL says it, and whether that has become stricter.

What is taken is written as alternatives, of which a token must have every part of one: an empty one is anybody.
"""

from __future__ import annotations

from collections.abc import Collection
from itertools import product
from typing import Any, TypeAlias

from graphql import DirectiveNode, value_from_ast_untyped

Alternatives: TypeAlias = frozenset[frozenset[str]]

ANYBODY: Alternatives = frozenset({frozenset()})
TOKEN, STAFF_SCOPE = "a token", "scope staff"
DIRECTIVES = frozenset({"public", "authenticated", "requiresScopes", "requiresRole", "internal"})


def taken(node: Any) -> Alternatives:
    """Return what a field takes; where several directives say so, it takes all of it."""
    parts = [_of(each) for each in node.directives or () if each.name.value in DIRECTIVES]
    return frozenset(frozenset().union(*each) for each in product(*parts))


def suffices(alternatives: Alternatives, held: Collection[str]) -> bool:
    """Say whether who has these parts may have the field."""
    return any(each <= frozenset(held) for each in alternatives)


def of_scopes(scopes: Collection[str]) -> frozenset[str]:
    """Return the parts that a token with these scopes has."""
    return frozenset({TOKEN, *(f"scope {scope}" for scope in scopes)})


def is_stricter(before: Alternatives, now: Alternatives) -> bool:
    """Say whether somebody is turned away now who was not before."""
    return not all(suffices(now, each) for each in before)


def said(alternatives: Alternatives) -> str:
    """Return the alternatives in words."""
    if frozenset() in alternatives:
        return "nothing"
    texts = sorted(" and ".join(sorted(each - {TOKEN}) or [TOKEN]) for each in alternatives)
    return " or ".join(texts)


def _of(directive: DirectiveNode) -> Alternatives:
    values = {each.name.value: value_from_ast_untyped(each.value) for each in directive.arguments or ()}
    match directive.name.value:
        case "authenticated":
            return frozenset({frozenset({TOKEN})})
        case "requiresScopes":
            return frozenset(of_scopes(each) for each in values["scopes"])
        case "requiresRole":
            return frozenset(frozenset({TOKEN, STAFF_SCOPE, f"role {role}"}) for role in values["roles"])
        case "internal":
            return frozenset({frozenset({TOKEN, STAFF_SCOPE})})
        case _:
            return ANYBODY
