"""Resolvers behind a check, made so that the check can be put before another resolver of the same field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

Resolve: TypeAlias = Callable[..., Any]


class Guarded:
    """A resolver behind a check. To graphql-core it is a resolver like another.

    `guard` puts the check before a resolver: it is given one and returns another that takes the same, `source`, `info`
    and the arguments by name. The check may use `info.context` and nothing else; the arguments
    are as the function takes them that is called in the end, which is not the same on both ways. Where `repeatable`,
    the check does nothing but check, so that it may be asked twice.
    """

    __slots__ = ("_guarded", "guard", "repeatable", "resolve")

    def __init__(self, resolve: Resolve, guard: Callable[[Resolve], Resolve], *, repeatable: bool = False) -> None:
        self.resolve, self.guard, self.repeatable = resolve, guard, repeatable
        self._guarded = guard(resolve)

    def __call__(self, source: object, info: Any, /, **arguments: Any) -> Any:
        return self._guarded(source, info, **arguments)
