"""A schema without some of its parts, and without the types that nothing but those parts has led to."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any, TypeAlias

from graphql import (
    DefinitionNode,
    DirectiveDefinitionNode,
    DirectiveNode,
    DocumentNode,
    EnumTypeDefinitionNode,
    FieldDefinitionNode,
    InputObjectTypeDefinitionNode,
    InterfaceTypeDefinitionNode,
    NamedTypeNode,
    Node,
    ObjectTypeDefinitionNode,
    TypeDefinitionNode,
    Visitor,
    visit,
)

Keeps: TypeAlias = Callable[[str, Any], bool]
ROOTS = ("Query", "Mutation", "Subscription")
BUILT_IN = frozenset({"deprecated", "specifiedBy", "oneOf", "skip", "include"})


def pruned(document: DocumentNode, keeps: Keeps) -> DocumentNode:
    """Return an SDL with those fields, arguments, input fields and enum values only that `keeps`, which is given their
    schema coordinates and nodes.

    A type that only left-out parts lead to is left out, too, also where it implements an interface that is kept: an
    interface leads to nobody. Directives that nothing uses any more are gone.
    """
    kept: list[DefinitionNode] = []
    dropped: list[Node] = []
    for definition in document.definitions:
        kept.append(_without(definition, keeps, dropped))
    types = {each.name.value: each for each in kept if isinstance(each, TypeDefinitionNode)}
    gone = _reached(types, _named(dropped))
    starts = {*ROOTS} & types.keys()
    reached: set[str] = set()
    while starts - reached:
        reached = _reached(types, starts)
        starts = reached | set(_implementers(types, reached, gone)) | set(_of_directives(kept, types, reached))
    used = set(_applied(types[name] for name in reached))
    return DocumentNode(
        definitions=tuple(
            each
            for each in kept
            if (each.name.value in used if isinstance(each, DirectiveDefinitionNode) else _name(each) in reached)
        )
    )


def copied(node: Any, **changed: Any) -> Any:
    """Return a node with other values in some of its places."""
    return type(node)(**{key: getattr(node, key) for key in node.keys if key != "loc"} | changed)


def _without(definition: Any, keeps: Keeps, dropped: list[Node]) -> Any:
    """Return a definition with what is kept of it; the rest is added to `dropped`."""
    if isinstance(definition, EnumTypeDefinitionNode):
        return copied(definition, values=_kept(definition, definition.values, keeps, dropped))
    if isinstance(definition, InputObjectTypeDefinitionNode):
        return copied(definition, fields=_kept(definition, definition.fields, keeps, dropped))
    if isinstance(definition, ObjectTypeDefinitionNode | InterfaceTypeDefinitionNode):
        fields = _kept(definition, definition.fields, keeps, dropped)
        return copied(definition, fields=tuple(_arguments(definition, each, keeps, dropped) for each in fields))
    return definition


def _kept(parent: Any, nodes: Iterable[Any] | None, keeps: Keeps, dropped: list[Node]) -> tuple[Any, ...]:
    kept = []
    for node in nodes or ():
        if keeps(f"{parent.name.value}.{node.name.value}", node):
            kept.append(node)
        else:
            dropped.append(node)
    return tuple(kept)


def _arguments(parent: Any, field: FieldDefinitionNode, keeps: Keeps, dropped: list[Node]) -> FieldDefinitionNode:
    kept = []
    for argument in field.arguments or ():
        if keeps(f"{parent.name.value}.{field.name.value}({argument.name.value}:)", argument):
            kept.append(argument)
        else:
            dropped.append(argument)
    changed: FieldDefinitionNode = copied(field, arguments=tuple(kept))
    return changed


def _reached(types: dict[str, TypeDefinitionNode], starts: Iterable[str]) -> set[str]:
    """Return the types that these lead to by what they have; themselves, too."""
    reached: set[str] = set()
    waiting = [name for name in starts if name in types]
    while waiting:
        name = waiting.pop()
        if name not in reached:
            reached.add(name)
            waiting += [each for each in _named([types[name]]) if each in types]
    return reached


def _implementers(types: dict[str, TypeDefinitionNode], reached: set[str], gone: set[str]) -> Iterator[str]:
    """Yield what can stand for an interface that is reached, unless it is somebody else's."""
    for name, definition in types.items():
        interfaces = getattr(definition, "interfaces", None) or ()
        if name not in gone and any(each.name.value in reached for each in interfaces):
            yield name


def _of_directives(kept: list[DefinitionNode], types: dict[str, TypeDefinitionNode], reached: set[str]) -> set[str]:
    used = set(_applied(types[name] for name in reached))
    return {
        name
        for each in kept
        if isinstance(each, DirectiveDefinitionNode) and each.name.value in used
        for name in _named(each.arguments or ())
        if name in types
    }


def _named(nodes: Iterable[Node]) -> set[str]:
    """Return the names of the types that stand in these nodes."""
    return {each.name.value for each in _all(nodes, NamedTypeNode)}


def _applied(nodes: Iterable[Node]) -> Iterator[str]:
    return (each.name.value for each in _all(nodes, DirectiveNode))


def _all(nodes: Iterable[Node], kind: type[Any]) -> list[Any]:
    found: list[Any] = []

    class Finder(Visitor):
        def enter(self, node: Node, *_: Any) -> None:
            if isinstance(node, kind):
                found.append(node)

    for node in nodes:
        visit(node, Finder())
    return found


def _name(definition: DefinitionNode) -> str:
    return definition.name.value if isinstance(definition, TypeDefinitionNode) else ""
