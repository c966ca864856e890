"""The schema that partners see: what a token of theirs can be given, and what that leads to. The rest is not in it."""

from __future__ import annotations

import re
from collections.abc import Collection
from typing import Any

from graphql import (
    DirectiveDefinitionNode,
    DirectiveNode,
    ListValueNode,
    StringValueNode,
    Visitor,
    parse,
    print_ast,
    visit,
)

from schema.contracts.access import of_scopes, suffices, taken
from schema.contracts.pruning import copied, pruned

HEADER = (
    "# The schema as partners see it. It is made from schema.graphql by `make sdl`: what no token of a partner can be\n"
    "# given is not in it.\n\n"
)
SCOPES_DIRECTIVE = "requiresScopes"
# A line of the directive's description that explains one scope.
SCOPE_LINE = re.compile(r"^- `([^`]+)`: .*\n?", re.MULTILINE)


def partner_sdl(sdl: str, scopes: Collection[str]) -> str:
    """Return the SDL of what a client that may have these scopes, and no role, can ask."""
    held = of_scopes(scopes)
    document = pruned(parse(sdl), lambda _coordinate, node: suffices(taken(node), held))
    return HEADER + print_ast(visit(document, _OwnScopes(frozenset(scopes)))) + "\n"


class _OwnScopes(Visitor):
    """Leaves out the scopes of others, where a field can be had with one or with another."""

    def __init__(self, scopes: frozenset[str]) -> None:
        super().__init__()
        self._scopes = scopes

    def leave_list_value(self, node: ListValueNode, _key: Any, _parent: Any, _path: Any, ancestors: list[Any]) -> Any:
        if not any(isinstance(each, DirectiveNode) and each.name.value == SCOPES_DIRECTIVE for each in ancestors):
            return None
        if not all(isinstance(each, ListValueNode) for each in node.values):
            return None
        kept = [each for each in node.values if isinstance(each, ListValueNode) and self._has(each)]
        return copied(node, values=tuple(kept))

    def leave_directive_definition(self, node: DirectiveDefinitionNode, *_: Any) -> Any:
        if node.name.value != SCOPES_DIRECTIVE or node.description is None:
            return None
        text = SCOPE_LINE.sub(lambda line: line[0] if line[1] in self._scopes else "", node.description.value)
        return copied(node, description=copied(node.description, value=text.rstrip()))

    def _has(self, alternative: ListValueNode) -> bool:
        return all(isinstance(each, StringValueNode) and each.value in self._scopes for each in alternative.values)
