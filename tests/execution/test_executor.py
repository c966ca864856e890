"""What is compiled and what is left to graphql-core, how often, and what plans take."""

from __future__ import annotations

import gc
import tracemalloc
from inspect import isawaitable
from types import SimpleNamespace
from typing import Any

import pytest
import strawberry
from graphql import GraphQLObjectType, parse, validate

from kernel.settings import Settings
from schema.execution import executor as module
from schema.execution.conditions import Reason
from schema.execution.documents import Document, OperationCache
from schema.execution.executor import CONDITIONS_MAX, PLANS_PER_OPERATION_MAX, Executor
from schema.execution.metrics import _OPERATIONS
from schema.execution.plans import Plan
from schema.extensions.documents import Schema
from tests.execution.comparing import Both, by_core
from tests.execution.everything import branch, build
from tests.execution.trouble import Context

SCHEMA = build()._schema
ROOT = SimpleNamespace(plain="plain")


@strawberry.type
class _Query:
    hello: str = "hello"


def cache(size_max_bytes: int = 1 << 24) -> OperationCache:
    return OperationCache(parse, lambda node: validate(SCHEMA, node), size_max_bytes=size_max_bytes)


def executor() -> Executor:
    return Executor(SCHEMA, hide_suggestions=False)


async def execute(by: Executor, document: Document, **variables: Any) -> Any:
    (operation, *_) = document.operations
    result = by.execute(document, operation, root=ROOT, context=Context(1, 0.0), variables=variables, extensions=None)
    return await result if isawaitable(result) else result


def counted(reason: Reason) -> float:
    return float(_OPERATIONS.labels("graphql-core", reason)._value.get())


@pytest.fixture
def plans(monkeypatch: pytest.MonkeyPatch) -> list[Plan]:
    """Every plan that is made."""
    made: list[Plan] = []

    class Noted(Plan):
        def __init__(self, *arguments: Any, **values: Any) -> None:
            super().__init__(*arguments, **values)
            made.append(self)

    monkeypatch.setattr(module, "Plan", Noted)
    return made


async def test_an_operation_is_compiled_once(plans: list[Plan]) -> None:
    document, by = cache().get("query ($n: Int!) { top(number: $n) { number } }"), executor()
    for number in range(1, 4):
        assert (await execute(by, document, n=number)).data == {"top": {"number": number}}
    assert len(plans) == 1


async def test_each_operation_of_a_document_has_its_own_plan(plans: list[Plan]) -> None:
    document, by = cache().get("query A { plain } query B { b: plain }"), executor()
    for operation, expected in zip(document.operations, ({"plain": "plain"}, {"b": "plain"}), strict=True):
        result: Any = by.execute(document, operation, root=ROOT, context=None, variables=None, extensions=None)
        assert result.data == {**expected}
    assert len(plans) == 2


async def test_there_is_a_plan_for_each_set_of_answers_that_was_met(plans: list[Plan]) -> None:
    text = "query ($a: Boolean!, $b: Boolean = false) { plain @skip(if: $a) b: plain @include(if: $b) __typename }"
    document, by = cache().get(text), executor()
    kind = {"__typename": "Query"}
    for _ in range(2):
        assert (await execute(by, document, a=True)).data == kind
        assert (await execute(by, document, a=False, b=True)).data == {"plain": "plain", "b": "plain"} | kind
    assert len(plans) == 2


async def test_of_many_plans_those_used_last_are_kept_and_the_others_give_back_their_room(plans: list[Plan]) -> None:
    names = [f"v{number}" for number in range(6)]
    fields = " ".join(f"a{name}: plain @include(if: ${name})" for name in names)
    document = cache().get(f"query ({', '.join(f'${name}: Boolean!' for name in names)}) {{ {fields} __typename }}")
    by, sizes = executor(), []
    for number in range(1 << 6):
        answers = {name: bool(number >> index & 1) for index, name in enumerate(names)}
        data = (await execute(by, document, **answers)).data
        assert [key for key in data if key != "__typename"] == [f"a{name}" for name in names if answers[name]]
        sizes.append(document.size_bytes)
    assert len(plans) == 1 << 6
    assert max(sizes[PLANS_PER_OPERATION_MAX + 1 :]) < sizes[0] + PLANS_PER_OPERATION_MAX * 8 * 4_096


@pytest.mark.parametrize(
    ("text", "variables", "reason"),
    [
        ("{ __schema { queryType { name } } plain }", {}, Reason.INTROSPECTION),
        ('{ ...F } fragment F on Query { ... { __type(name: "Leaf") { name } } }', {}, Reason.INTROSPECTION),
        ("query ($a: Boolean = true) { plain @skip(if: $a) __typename }", {"a": None}, Reason.CONDITION),
    ],
)
async def test_what_has_no_plan_is_executed_by_graphql_core_and_counted(
    text: str, variables: dict[str, Any], reason: Reason
) -> None:
    before = counted(reason)
    await Both(SCHEMA, cache(), lambda: Context(1)).compare(text, variables, root=ROOT, planned=False)
    assert counted(reason) == before + 1


async def test_more_conditions_than_plans_are_made_for_are_left_to_graphql_core() -> None:
    names = [f"v{number}" for number in range(CONDITIONS_MAX + 1)]
    declared = ", ".join(f"${name}: Boolean!" for name in names)
    text = f"query ({declared}) {{ " + " ".join(f"{name}: plain @skip(if: ${name})" for name in names) + " }"
    before = counted(Reason.CONDITIONS)
    both = Both(SCHEMA, cache(), lambda: Context(1))
    result = await both.compare(text, dict.fromkeys(names, False), root=ROOT, planned=False)
    assert result.data == dict.fromkeys(names, "plain")
    assert counted(Reason.CONDITIONS) == before + 1


async def test_a_fault_in_compiling_costs_the_plan_and_not_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_arguments: Any, **_values: Any) -> None:
        raise RuntimeError("a fault of ours")

    monkeypatch.setattr(Plan, "__init__", fail)
    document, by, before = cache().get("{ plain }"), executor(), counted(Reason.FAILED)
    for _ in range(2):
        assert (await execute(by, document)).data == {"plain": "plain"}
    assert counted(Reason.FAILED) == before + 2


async def test_variables_that_do_not_fit_are_told_of_as_graphql_core_does() -> None:
    both = Both(SCHEMA, cache(), lambda: Context(1))
    text = "query ($n: Int!, $s: Shape) { top(number: $n) { echo(shape: $s) } }"
    for variables in ({}, {"n": None}, {"n": "1"}, {"n": 1, "s": {"points": [{"y": 1}] * 60}}, {"n": 1, "s": []}):
        result = await both.compare(text, variables)
        assert result.data is None
        assert result.errors
    deep: dict[str, Any] = {"name": "x"}
    for _ in range(400):
        deep = {"name": "x", "inner": deep}
    assert (await both.compare(text, {"n": 1, "s": deep})).errors


async def test_it_can_be_switched_off() -> None:
    assert Settings().compiled_execution
    before = by_core()
    schema = Schema(query=_Query, compiles=False)
    document = schema.document("{ hello }")
    result = schema.executor.execute(
        document, document.operations[0], root=_Query(), context=None, variables=None, extensions=None
    )
    assert not isawaitable(result)
    assert result.data == {"hello": "hello"}
    assert by_core() == before + 1


async def test_the_events_of_a_subscription_have_a_plan() -> None:
    both = Both(SCHEMA, cache(), lambda: Context(1, 0.0))
    document = both.read("subscription { branches { number greeting child { number } } }")
    assert document.valid
    event = branch(Context(1, 0.0), 5)
    text = "subscription { branches { number greeting child { number } } }"
    result = await both.compare(text, root=event)
    assert result.data == {"branches": {"number": 5, "greeting": "hello b5 False", "child": {"number": 6}}}


async def test_no_plan_takes_more_than_it_is_counted_for() -> None:
    kind = SCHEMA.type_map["Branch"]
    assert isinstance(kind, GraphQLObjectType)
    plain = "number fragile strict name code greeting echo loaded place still guarded loud sized { size name }"
    below = (
        f"{plain} child {{ {plain} anything {{ __typename ... on Leaf {{ number grid }} }} }} branches {{ {plain} }}"
    )
    text, by = f"{{ top {{ {below} }} tops {{ {below} }} }}", executor()
    documents = [cache().get(f"{text} # {number}") for number in range(6)]
    await execute(by, documents[0])
    before = sum(each.size_bytes for each in documents)
    gc.collect()
    tracemalloc.start()
    try:
        begun = tracemalloc.get_traced_memory()[0]
        for document in documents[1:]:
            await execute(by, document)
        gc.collect()
        taken = tracemalloc.get_traced_memory()[0] - begun
    finally:
        tracemalloc.stop()
    counted_bytes = sum(each.size_bytes for each in documents) - before
    assert taken <= counted_bytes
    assert taken >= counted_bytes / 4


def test_a_plain_attribute_of_no_root_is_its_error() -> None:
    """As with graphql-core: without a root value there is nothing that has the attribute."""
    schema = Schema(query=_Query)
    document = schema.document("{ hello }")
    result: Any = schema.executor.execute(
        document, document.operations[0], root=None, context=None, variables=None, extensions=None
    )
    assert result.data is None
    assert result.errors[0].path == ["hello"]
