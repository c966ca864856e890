"""Answers that are put together from fragments: they are those of graphql-core, whatever was kept before."""

from __future__ import annotations

import asyncio
import tracemalloc
from inspect import isawaitable
from random import Random
from typing import Any, cast

import orjson
import pytest
from graphql import ExecutionResult, GraphQLObjectType, parse, specified_rules, validate
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kernel import exact as exact_module
from schema.execution import entities
from schema.execution.documents import OperationCache
from schema.execution.executor import Executor
from tests.execution.comparing import alike, shown
from tests.execution.generating import Drawing
from tests.execution.things import KEYS, Context, Meter, Weighing, World, build

SCHEMA = build()
CACHE = OperationCache(parse, lambda node: validate(SCHEMA, node, specified_rules), size_max_bytes=1 << 26)
SCALARS: dict[str, Any] = {
    "Int": lambda random: random.choice([0, 1, 2, 3, 5, 7]),
    "Boolean": lambda random: random.random() < 0.5,
}
VIEWERS = ("nobody", "somebody")


class House:
    """Three ways to execute over one world."""

    def __init__(self) -> None:
        self.world = World()
        parts: Any = {"hide_suggestions": False, "metering": Weighing(), "generates_after": 1}
        self.by_fragments = Executor(SCHEMA, **parts, fragments_of=lambda context: context.fragments)
        self.by_plans = Executor(SCHEMA, **parts)
        self.by_core = Executor(SCHEMA, hide_suggestions=False, compiles=False)

    async def ask(
        self, by: Executor, text: str, variables: Any = None, viewer: str = "nobody"
    ) -> tuple[ExecutionResult, Context]:
        document, context = CACHE.get(text), Context(self.world, viewer, self.world.fragments.view())
        assert document.valid, (document.errors, text)
        result = by.execute(
            document, document.operations[0], root=None, context=context, variables=variables, extensions=None
        )
        return await result if isawaitable(result) else result, context

    async def compare(self, text: str, variables: Any = None, viewer: str = "nobody") -> Context:
        """Return the context of the way by fragments, whose answer has to be that of the others."""
        ours, context = await self.ask(self.by_fragments, text, variables, viewer)
        plain, plain_context = await self.ask(self.by_plans, text, variables, viewer)
        core, _ = await self.ask(self.by_core, text, variables, viewer)
        for theirs in (plain, core):
            # Of several errors that make one place null, it is left open which is told of.
            assert shown(ours) == shown(theirs) or alike(ours, theirs), (text, variables, viewer)
        if not ours.errors:
            assert context.meter == plain_context.meter, text
        return context


async def change_and_compare(seed: int) -> tuple[int, int]:
    """Ask a few questions again and again, as different people, with changes between; return how much was kept."""
    random, house = Random(seed), House()
    root = cast(GraphQLObjectType, SCHEMA.query_type)
    drawn = [Drawing(SCHEMA, random, SCALARS).document("query", root) for _ in range(4)]
    drawn = [each for each in drawn if not CACHE.get(each.text).errors]
    found = most = 0
    for _ in range(20 if drawn else 0):
        if random.random() < 0.25:
            house.world.change(random)
        each = random.choice(drawn)
        before = len(house.world.fragments)
        context = await house.compare(each.text, each.variables, random.choice(VIEWERS))
        found += before > 0 and not context.loaded
        most = max(most, len(house.world.fragments))
    return found, most


@pytest.mark.usefixtures("siblings_may_be_abandoned")
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_what_is_kept_is_what_would_be_executed() -> None:
    seen: list[tuple[int, int]] = []

    @settings(max_examples=150, derandomize=True, deadline=None, suppress_health_check=list(HealthCheck), database=None)
    @given(seed=st.integers(0, 1 << 32))
    def run(seed: int) -> None:
        seen.append(asyncio.run(change_and_compare(seed)))

    run()
    assert sum(kept > 0 for _, kept in seen) > len(seen) // 4
    assert sum(found for found, _ in seen) > len(seen)


STAMPS = "query ($start: Int!) { places(start: $start) { distance thing { key stamp parts { stamp } } } }"


@pytest.mark.parametrize("seed", range(8))
async def test_a_change_while_a_fragment_is_made_leaves_no_old_one(seed: int) -> None:
    """Who asks after a change sees it, however many were about to keep what was before it."""
    random, house = Random(seed), House()
    world, shown_from_kept = house.world, 0

    async def ask_and_look() -> None:
        nonlocal shown_from_kept
        things, shelved = dict(world.things), dict(world.shelved)
        result, context = await house.ask(house.by_fragments, STAMPS, {"start": random.randrange(KEYS)})
        data = orjson.loads(orjson.dumps(result.data))
        shown_from_kept += not context.loaded
        for place in data["places"]:
            thing = place["thing"]
            before = things[thing["key"]]
            assert thing["stamp"] >= before.stamp, "the row is older than the question"
            if thing["stamp"] == before.stamp and before.shelf is not None:
                assert all(part["stamp"] >= shelved[before.shelf] for part in thing["parts"])

    async def work() -> None:
        for _ in range(40):
            await ask_and_look()
            for _ in range(random.randrange(4)):
                await asyncio.sleep(0)

    async def change() -> None:
        for _ in range(60):
            for _ in range(random.randrange(12)):
                await asyncio.sleep(0)
            world.change(random)

    await asyncio.gather(change(), *(work() for _ in range(6)))
    for start in range(KEYS):
        await house.compare(STAMPS, {"start": start})
    assert shown_from_kept > 5


async def twice(house: House, text: str, viewer: str = "nobody", times: int = 3) -> Context:
    for _ in range(times):
        context = await house.compare(text, viewer=viewer)
    return context


@pytest.mark.parametrize(
    "fields",
    ["mine { number }", "askedBy", "guarded", "seen { number }", "... on Thing { parts { number } mine { stamp } }"],
)
async def test_what_depends_on_who_asks_is_in_no_fragment(fields: str) -> None:
    house = House()
    for viewer in ("somebody", "somebody else", "nobody"):
        await twice(house, f"{{ places {{ thing {{ key {fields} }} }} thing {{ {fields} }} }}", viewer)
    assert not house.world.fragments


async def test_what_fails_is_in_no_fragment() -> None:
    house = House()
    house.world.shelves[1] = []
    await twice(house, "{ thing(key: 1) { surely { number } } }")
    assert not house.world.fragments
    await twice(house, "{ thing(key: 2) { surely { number } } }")
    assert len(house.world.fragments) == 1


async def test_others_take_what_one_has_left() -> None:
    house = House()
    await twice(house, "{ a: thing(key: 1) { name parts { number } } }")
    text = "query Another { places(start: 1) { thing { ...T } } } fragment T on Thing { name parts { number } }"
    context = await twice(house, text)
    assert not context.loaded
    assert len(house.world.fragments) == 4


@pytest.mark.parametrize("limits", [(0, 1), (2, None), (None, 1)])
async def test_arguments_are_part_of_what_is_kept(limits: tuple[int | None, ...]) -> None:
    house = House()
    parts = "parts(limit: $limit, colour: $colour) { number }"
    text = f"query ($limit: Int = 3, $colour: Colour) {{ thing(key: 2) {{ {parts} }} }}"
    variables: list[dict[str, Any]] = [{} if each is None else {"limit": each} for each in limits]
    for _ in range(3):
        for each in (*variables, {"colour": "RED"}, {"colour": "BLUE"}):
            await house.compare(text, each)
    assert len(house.world.fragments) == 4


async def test_only_what_is_missing_is_loaded() -> None:
    house = House()
    await twice(house, "{ thing(key: 1) { parts { number } } }")
    text = "{ places(start: 0) { thing { parts { number } } } }"
    # A plan's first execution is the one without generated code.
    _, context = await house.ask(house.by_fragments, text)
    assert 1 in context.loaded
    _, context = await house.ask(house.by_fragments, text)
    assert context.loaded == [2], "of thing 1 there was a fragment, and things 0 and 3 lie nowhere"


async def test_an_execution_that_may_keep_nothing_does_as_before() -> None:
    house = House()
    house.world.fragments.open_until = 0.0
    context = await twice(house, "{ thing(key: 1) { parts { number } } }")
    assert context.loaded
    assert context.meter == Meter(fields=3 + 1, types=4)
    assert not house.world.fragments


async def test_fragments_take_no_more_than_is_counted() -> None:
    """They are encoded by orjson, which takes several times what it writes."""
    house = House()
    tracemalloc.start()
    try:
        await house.ask(house.by_fragments, STAMPS, {"start": 0})
        await house.ask(house.by_fragments, STAMPS, {"start": 0})
        made = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    encoded = made.filter_traces([tracemalloc.Filter(True, exact_module.__file__)]).statistics("filename")
    assert 0 < sum(each.size for each in encoded) < house.world.fragments.size_bytes
    encoding = made.filter_traces([tracemalloc.Filter(True, entities.__file__)]).statistics("lineno")
    assert all(each.size < 1024 * each.count for each in encoding)
