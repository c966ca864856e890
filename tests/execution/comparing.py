"""One operation, executed by a plan and by graphql-core: what came of it has to be the same to the last byte."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from inspect import isawaitable
from typing import Any

import orjson
from graphql import ExecutionResult, GraphQLSchema

from schema.execution.documents import Document, OperationCache
from schema.execution.executor import Executor
from schema.execution.metrics import _OPERATIONS

TURNS = 30
# How a loader notes what it was asked for.
LOADED = "batch "


class Both:
    """The two ways over one schema. `context` makes a new context for each execution, `parts` are of the executors.

    A context may note its `calls`, and count into a `meter`.
    """

    def __init__(self, schema: GraphQLSchema, cache: OperationCache, context: Callable[[], Any], **parts: Any) -> None:
        # A plan's second execution is by code that was generated.
        self.plans = Executor(schema, hide_suggestions=False, generates_after=1, **parts)
        self.core = Executor(schema, hide_suggestions=False, compiles=False, **parts)
        self._cache, self._context = cache, context

    def read(self, text: str) -> Document:
        return self._cache.get(text)

    async def compare(
        self,
        text: str,
        variables: dict[str, Any] | None = None,
        *,
        root: Any = None,
        planned: bool | None = True,
        lenient: bool = False,
    ) -> ExecutionResult:
        """Return what came of it. `planned` says whether a plan has to have executed it; None where either may have.

        Where several of the parts that wait fail, and make the same place null, `lenient` leaves open which is told of.
        """
        document = self.read(text)
        assert document.valid, (document.refusal, document.errors, text)
        before = by_core()
        ours, our_context = await self._run(self.plans, document, variables, root)
        if planned is not None and not (ours.data is None and all(error.path is None for error in ours.errors or ())):
            assert (by_core() == before) is planned, text
        theirs, their_context = await self._run(self.core, document, variables, root)
        assert shown(ours) == shown(theirs) or (lenient and alike(ours, theirs)), (text, variables)
        assert resolved(our_context, ours) == resolved(their_context, theirs), (text, variables)
        # How far a sibling came that is given up depends on when the database answers.
        if not ours.errors:
            assert getattr(our_context, "meter", None) == getattr(their_context, "meter", None), (text, variables)
        return ours

    async def _run(
        self, executor: Executor, document: Document, variables: Any, root: Any
    ) -> tuple[ExecutionResult, Any]:
        context = self._context()
        (operation, *_) = document.operations
        result = executor.execute(
            document, operation, root=root, context=context, variables=variables, extensions={"from": "a test"}
        )
        answer = await result if isawaitable(result) else result
        # What was begun and is not waited for any more comes to its end.
        for _ in range(TURNS):
            await asyncio.sleep(0)
        return answer, context


def resolved(context: Any, result: ExecutionResult) -> tuple[list[str], set[str]]:
    """Return the calls that a context has noted, in their order, and the keys that were loaded.

    Relations are asked for a turn of the loop earlier than resolvers begin, so which keys of several loaders come first
    is left open, and so is whether a sibling that is given up had begun to load.
    """
    calls: list[str] = getattr(context, "calls", [])
    loaded = {key for each in calls if each.startswith(LOADED) for key in each.removeprefix(LOADED)[1:-1].split(", ")}
    return [each for each in calls if not each.startswith(LOADED)], set() if result.errors else loaded


def shown(result: ExecutionResult) -> tuple[bytes, list[tuple[bytes, str]], bool]:
    """Return what a client is shown, and of which kind the errors are that it is not shown.

    Errors of parts that wait for different things come in the order in which they happen, which is left open.
    """
    errors = sorted(
        (orjson.dumps(error.formatted, default=str), type(error.original_error).__name__)
        for error in result.errors or ()
    )
    return orjson.dumps(result.data, default=str), errors, result.errors is None


def alike(ours: ExecutionResult, theirs: ExecutionResult) -> bool:
    """Whether the data are the same, and the places that errors have made null, and what was wrong at each of them."""
    return shown(ours)[0] == shown(theirs)[0] and told(ours) == told(theirs)


def told(result: ExecutionResult) -> tuple[set[str], list[str]]:
    """Return the places that errors from below have made null, and the errors whose own place is null."""
    above: set[str] = set()
    own: list[str] = []
    for error in result.errors or ():
        value, path = result.data, error.path or []
        depth = 0
        while value is not None and depth < len(path):
            value, depth = value[path[depth]], depth + 1  # type: ignore[index]
        if depth < len(path):
            above.add(repr(path[:depth]))
        else:
            own.append(repr(error.formatted))
    return above, sorted(own)


def by_core() -> float:
    """Return how many operations graphql-core has executed."""
    return sum(
        sample.value
        for metric in _OPERATIONS.collect()
        for sample in metric.samples
        if sample.name.endswith("_total") and sample.labels["by"] == "graphql-core"
    )
