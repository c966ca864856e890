"""Relations of the schema with everything, written as any schema could have them."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from inspect import Parameter, signature
from typing import Any

import strawberry
from strawberry.types import Info

from tests.execution.trouble import Context


@dataclass(frozen=True, eq=False)
class Parts:
    name: str
    by: Any
    finish: Callable[..., Any]
    absent: Any = None
    public: bool = False
    keyed_by_arguments: bool = False

    def loader(self, context: Context) -> Any:
        return getattr(context, self.name)

    def key(self, source: Any, context: Context, arguments: Mapping[str, Any]) -> Any:
        if self.keyed_by_arguments:
            return self.by(source, context, **arguments)
        return getattr(source, self.by) if isinstance(self.by, str) else self.by(source, context)


def relation(loader: str, *, by: Any, public: bool = False, keyed: bool = False) -> Callable[[Any], Any]:
    """Declare a field that leads to what a loader of the context has under a key, and how it is made of that."""

    def declare(method: Any) -> Any:
        finish = method.__func__
        parts = Parts(loader, by, finish, public=public, keyed_by_arguments=keyed)

        async def resolve(self: Any, info: Any, **arguments: Any) -> Any:
            key = parts.key(self, info.context, arguments)
            loaded = None if key is None else await parts.loader(info.context).load(key)
            return finish(loaded, **arguments)

        shape = signature(finish)
        _, *own = shape.parameters.values()
        plain = Parameter.POSITIONAL_OR_KEYWORD
        first = [Parameter("self", plain), Parameter("info", plain, annotation=Info)]
        written: Any = resolve
        written.__signature__ = shape.replace(parameters=[*first, *own])
        written.__annotations__ = {each.name: each.annotation for each in own} | {"return": shape.return_annotation}
        written.__name__, written.__module__ = finish.__name__, finish.__module__
        written.relation = parts
        return strawberry.field(resolver=resolve)

    return declare
