"""What is to be done for one operation, as far as it is known before the request: which keys to write, from what.

A plan holds for one set of answers to the operation's conditions (`@skip`, `@include`), so that nothing of them is left
to ask when it is executed. The fields of an object are put together when the first such object comes along.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Container, Iterator
from types import CoroutineType
from typing import Any, cast

from graphql import GraphQLError, GraphQLObjectType, is_non_null_type
from graphql.execution import ExecutionResult
from graphql.execution.collect_fields import collect_fields, collect_subfields
from graphql.execution.values import VariableValues
from graphql.pyutils import gather_with_cancel

from kernel.shapes import Shape, Written
from schema.execution.completing import Items, completion, fail
from schema.execution.generated import FAILED, Generated, Write
from schema.execution.generating import Source, list_code, selection_code
from schema.execution.leaves import WRITTEN, Never, unchanged
from schema.execution.lines import NotGenerated
from schema.execution.resolving import Simple, attribute_of, call_of, simple_of
from schema.execution.running import Operation, Place, Run, Site
from schema.execution.selections import SelectionLike
from schema.execution.shaping import shape_of
from schema.execution.typing import is_cast

TYPE_NAME = "__typename"
# What a plan takes, measured for each of its fields and objects.
BYTES_PER_FIELD = 4_096
BYTES_PER_SELECTION = 1_024


class Field:
    """One key of an object of the answer, and how it is come by."""

    __slots__ = (
        "_call", "_complete", "_known", "_leaf", "_minds_casts", "_non_null", "_schema", "_simple",
        "attribute", "completion", "constant", "key", "name", "same", "seen", "site",
    )  # fmt: skip

    def __init__(self, plan: Plan, site: Site) -> None:
        kind = site.definition.type
        self.site, self.key, self.name = site, site.key, site.name
        self.attribute = attribute_of(plan.operation.schema, site)
        # Values of this very type are written as they are.
        self.same = unchanged(kind.of_type if is_non_null_type(kind) else kind)
        self._non_null = is_non_null_type(kind)
        self._call = None if self.attribute is not None else call_of(plan.operation.schema, site)

        self.completion = site.completion = found = completion(kind, site, Below(plan, site))
        self._complete, self._known, self._minds_casts = found.complete, found.known, found.minds_casts
        self._leaf, self.constant = found.leaf, None
        self._schema = plan.operation.schema
        self._simple: Simple | type[Never] | None = Never
        # Classes whose values may be given to `write`.
        self.seen: Container[type] = self._leaf.seen if self._leaf is not None else ()

    @property
    def simple(self) -> Simple | None:
        """How the value is got, where that is simple."""
        if self._simple is Never:
            self._simple = simple_of(self._schema, self.site)
        return cast("Simple | None", self._simple)

    def execute(self, run: Run, source: Any, above: Place | None) -> Any:
        """Return what stands under the key, or a coroutine of it. Raises GraphQLError where it is null and may not."""
        place = (above, self.key, self.site.parent.name)
        assert self._call is not None, "what is an attribute is not called"
        try:
            value = self._call(run, source, place)
            if hasattr(type(value), "__await__"):
                return self._resolved(run, value, place)
            completed = self._complete(run, value, place)
            return self._completed(run, completed, place) if type(completed) is CoroutineType else completed
        except Exception as error:
            return fail(run, error, self.site, place, non_null=self._non_null)

    def finish(self, run: Run, value: Any, above: Place | None) -> Any:
        """As `execute`, for the value that the attribute had."""
        place = (above, self.key, self.site.parent.name)
        try:
            selection = self._known.get(type(value))
            if selection is not None and not (self._minds_casts and is_cast(value)):
                completed = selection.execute(run, value, place)
            elif hasattr(type(value), "__await__"):
                return self._resolved(run, value, place)
            else:
                completed = self._complete(run, value, place)
            return self._completed(run, completed, place) if type(completed) is CoroutineType else completed
        except Exception as error:
            return fail(run, error, self.site, place, non_null=self._non_null)

    def refuse(self, run: Run, error: Exception, above: Place | None) -> None:
        """Raise or note that there is no such attribute, or that it raised."""
        fail(run, error, self.site, (above, self.key, self.site.parent.name), non_null=self._non_null)

    def write(self, run: Run, value: Any, above: Place | None) -> Any:
        """As `finish`, for a scalar or an enum."""
        assert self._leaf is not None, "there are classes of leaves"
        try:
            written = self._leaf.write(value)
            if type(written) in WRITTEN:
                return written
            written = self._leaf.checked(value, written)
        except Exception as error:
            return self.refuse(run, error, above)
        if type(written) is CoroutineType:
            return self._completed(run, written, (above, self.key, self.site.parent.name))
        return written

    async def _resolved(self, run: Run, value: Any, place: Place) -> Any:
        try:
            completed = self._complete(run, await value, place)
            return await completed if type(completed) is CoroutineType else completed
        except Exception as error:
            return fail(run, error, self.site, place, non_null=self._non_null)

    async def _completed(self, run: Run, completed: Any, place: Place) -> Any:
        try:
            return await completed
        except Exception as error:
            return fail(run, error, self.site, place, non_null=self._non_null)


class TypeName:
    """`__typename`, which is known as soon as the type is."""

    __slots__ = ("attribute", "constant", "key", "name", "same", "seen")

    def __init__(self, key: str, name: str) -> None:
        self.name = TYPE_NAME
        self.key, self.constant = key, name
        self.attribute, self.same = None, Never
        self.seen: Container[type] = ()

    def execute(self, _run: Run, _source: Any, _above: Place | None) -> str:
        return self.constant


class Selected:
    """The fields that are selected of the objects of one type at one place."""

    __slots__ = ("_calls", "_fields", "_generated", "_kind", "_object", "_shape", "fields", "weights")

    def __init__(
        self, kind: GraphQLObjectType, fields: list[Field | TypeName], weights: tuple[int, int], plan: Plan
    ) -> None:
        self.fields, self.weights = fields, weights
        self._calls, self._object = weights
        self._kind = kind
        self._shape: Shape | type[Never] | None = Never
        self._generated = Generated(lambda: plan.generate(lambda: selection_code(kind, cast(SelectionLike, self))))
        self._fields: tuple[tuple[str, str | None, type, Container[type], Any], ...] = tuple(
            (each.key, each.attribute, each.same, each.seen, each) for each in fields
        )

    def execute(self, run: Run, source: Any, place: Place | None) -> Any:
        """Return the object, or a coroutine of it where a field has to be waited for."""
        if run.generated:
            written = self._generated(run, source, place, self._execute)
            if written is not FAILED:
                return written
        return self._execute(run, source, place)

    @property
    def shape(self) -> Shape | None:
        """What the database may write of an object, found when somebody first asks."""
        if self._shape is Never:
            self._shape = shape_of(self._kind, cast(SelectionLike, self))
        return cast("Shape | None", self._shape)

    def _execute(self, run: Run, source: Any, place: Place | None) -> Any:
        if isinstance(self._shape, Shape) and type(source.row) is Written:
            assert source.row.shape is self._shape, "a row is read in the shape in which it is shown"
            return run.written(source.row)
        self._count(run)
        results: dict[str, Any] = {}
        waiting: list[str] | None = None
        try:
            for key, attribute, same, seen, field in self._fields:
                if attribute is None:
                    result = field.execute(run, source, place)
                else:
                    try:
                        result = getattr(source, attribute)
                    except Exception as error:
                        result = field.refuse(run, error, place)
                    else:
                        kind = type(result)
                        if kind is not same:
                            result = (field.write if kind in seen else field.finish)(run, result, place)
                results[key] = result
                if type(result) is CoroutineType:
                    if waiting is None:
                        waiting = [key]
                    else:
                        waiting.append(key)
        except Exception:
            if waiting is not None:
                run.settle([results[each] for each in waiting])
            raise
        return results if waiting is None else _gathered(results, waiting)

    def execute_serially(self, run: Run, source: Any) -> Any:
        """As `execute`, but nothing is begun before what stands in front of it is done."""
        self._count(run)
        results: dict[str, Any] = {}
        fields = iter(self._fields)
        for key, attribute, _, _, field in fields:
            result = self._one(run, source, attribute, field)
            if type(result) is CoroutineType:
                return self._rest(run, source, results, key, result, fields)
            results[key] = result
        return results

    def _count(self, run: Run) -> None:
        meter = run.meter
        if meter is not None:
            meter.fields += self._calls
            meter.types += self._object

    async def _rest(
        self, run: Run, source: Any, results: dict[str, Any], key: str, begun: Any, fields: Iterator[Any]
    ) -> dict[str, Any]:
        results[key] = await begun
        for name, attribute, _, _, field in fields:
            result = self._one(run, source, attribute, field)
            results[name] = await result if type(result) is CoroutineType else result
        return results

    @staticmethod
    def _one(run: Run, source: Any, attribute: str | None, field: Any) -> Any:
        if attribute is None:
            return field.execute(run, source, None)
        try:
            value = getattr(source, attribute)
        except Exception as error:
            return field.refuse(run, error, None)
        return field.finish(run, value, None)


class Below:
    """What stands below one site of a plan."""

    __slots__ = ("_plan", "_site")

    def __init__(self, plan: Plan, site: Site) -> None:
        self._plan, self._site = plan, site

    def __call__(self, kind: GraphQLObjectType) -> Selected:
        return self._plan.below(self._site, kind)

    def generated(self, items: Items) -> Generated:
        plan = self._plan
        return Generated(lambda: plan.generate(lambda: list_code(items)))


class Plan:
    """One operation under one set of answers to its conditions. `grown` is told how many bytes more it takes."""

    def __init__(
        self,
        operation: Operation,
        root_type: GraphQLObjectType,
        conditions: VariableValues,
        details: dict[str, Any],
        *,
        serially: bool,
        grown: Callable[[int], None],
    ) -> None:
        """`conditions` are the variables of `@skip` and `@include`; `details` are the fragments by their names."""
        self.operation, self._root_type, self._conditions, self._details = operation, root_type, conditions, details
        self._serially, self._grown = serially, grown
        self._executions = 0
        node, hide_suggestions = operation.node, operation.hide_suggestions
        collected = collect_fields(operation.schema, details, conditions, root_type, node, hide_suggestions)
        self._root = self._selected(root_type, collected.grouped_field_set)

    def below(self, site: Site, kind: GraphQLObjectType) -> Selected:
        """Return what is selected of objects of a type that stand at a site."""
        operation = self.operation
        collected = collect_subfields(
            operation.schema,
            self._details,
            self._conditions,
            operation.node,
            kind,
            site.details,
            operation.hide_suggestions,
        )
        return self._selected(kind, collected.grouped_field_set)

    def execute(self, run: Run) -> ExecutionResult | Awaitable[ExecutionResult]:
        """Return the result, or something to be awaited for it."""
        self._executions += 1
        run.generated = self._executions > self.operation.generates_after
        try:
            if self._serially:
                data = self._root.execute_serially(run, run.root)
            else:
                data = self._root.execute(run, run.root, None)
        except GraphQLError as error:
            run.note(error, None)
            return ExecutionResult(None, run.errors)
        return _result(run, data) if type(data) is CoroutineType else ExecutionResult(data, run.errors or None)

    def generate(self, code: Callable[[], Source]) -> Write | None:
        """Return the function that the code is of; None where there is none."""
        try:
            source = code()
        except NotGenerated:
            return None
        self._grown(source.size_bytes)
        return source.compiled()

    def _selected(self, kind: GraphQLObjectType, grouped: dict[str, list[Any]]) -> Selected:
        fields: list[Field | TypeName] = []
        for key, details in grouped.items():
            name = details[0].node.name.value
            if name == TYPE_NAME:
                fields.append(TypeName(key, kind.name))
                continue
            definition = self.operation.schema.get_field(kind, name)
            if definition is not None:
                fields.append(Field(self, Site(kind, key, name, definition, details)))
        self._grown(BYTES_PER_SELECTION + BYTES_PER_FIELD * len(fields))
        metering = self.operation.metering
        names = (details[0].node.name.value for details in grouped.values())
        return Selected(kind, fields, metering.weigh(kind, names) if metering is not None else (0, 0), self)


async def _gathered(results: dict[str, Any], waiting: list[str]) -> dict[str, Any]:
    if len(waiting) == 1:
        results[waiting[0]] = await results[waiting[0]]
    else:
        values = await gather_with_cancel(*(results[key] for key in waiting))
        results.update(zip(waiting, values, strict=True))
    return results


async def _result(run: Run, begun: Any) -> ExecutionResult:
    try:
        data = await begun
    except GraphQLError as error:
        run.note(error, None)
        return ExecutionResult(None, run.errors)
    return ExecutionResult(data, run.errors or None)
