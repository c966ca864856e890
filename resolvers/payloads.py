"""The one place where domain errors become typed members of a payload."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

from kernel.errors import YoukaError
from schema.types.context import Info
from schema.types.errors import to_user_error
from schema.types.user_error import UserError

T = TypeVar("T")


def payload(resolve: Callable[..., Awaitable[T]]) -> Callable[..., Coroutine[Any, Any, T | UserError]]:
    """Answer with the typed error where the domain refuses; what has none is raised on."""

    @functools.wraps(resolve)
    async def answer(info: Info, **arguments: Any) -> T | UserError:
        try:
            return await resolve(info, **arguments)
        except YoukaError as error:
            typed = to_user_error(error, info.context.locale)
            if typed is None:
                raise
            return typed

    return answer
