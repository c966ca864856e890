"""Background tasks that are owned by somebody, named, and started with a clean context."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from contextvars import Context, ContextVar, copy_context
from typing import Any, TypeVar

inside_transaction: ContextVar[bool] = ContextVar("inside_transaction", default=False)


class SpawnedInsideTransaction(RuntimeError):
    """A task that inherits a transaction's connection would write into somebody else's transaction."""


T = TypeVar("T")


def spawn(work: Coroutine[Any, Any, T], *, name: str) -> asyncio.Task[T]:
    """Start a task beside the current one. Raises SpawnedInsideTransaction where the context is not clean."""
    if inside_transaction.get():
        work.close()
        raise SpawnedInsideTransaction(name)
    context: Context = copy_context()
    return asyncio.get_running_loop().create_task(work, name=name, context=context)


async def cancel_and_wait(*tasks: asyncio.Task[Any]) -> None:
    """Cancel the tasks and return once every one of them has ended; their errors are left to their owners."""
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
