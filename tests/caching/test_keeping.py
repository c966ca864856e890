"""Answers that are kept, and what is never kept."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import orjson
import pytest
from graphql import GraphQLObjectType

from domain.events import purges
from domain.identity.viewer import Viewer
from domain.pricing import queries as pricing
from kernel.ids import new_id
from kernel.settings import Settings
from kernel.tagged_cache import TaggedCache
from schema.execution.guards import Guarded
from schema.extensions.documents import Schema
from schema.extensions.limits import Limits
from schema.root import build
from schema.types.caching import AS_ITS_PARENT, Keeping, cache_control_of
from schema.types.caching import Scope as CacheScope
from schema.types.charges import Meter
from schema.types.context import Context
from schema.types.requirements import PUBLIC, requirements_of
from schema.types.stations import Station
from subscriptions import keeping as keeping_module
from subscriptions.execution import Executed, Prepared
from subscriptions.keeping import KeptAnswers
from subscriptions.server import _kept_answers
from tests.factories import viewer_of

STATION = 'query A { station(id: "x") { name } }'
MINE = "query A { viewer { wallet { held { fen } } } }"


@pytest.fixture(scope="module")
def schema() -> Schema:
    return build(Limits())


class Kitchen:
    """Executes what is not kept, as slowly and as wrongly as a test wants."""

    def __init__(self) -> None:
        self.cooked = 0
        self.gate: asyncio.Event | None = None
        self.answers: list[Executed] = []

    def __call__(self, prepared: Prepared, context: Context) -> Executed | Awaitable[Executed]:
        self.cooked += 1
        number = self.cooked
        if context.meter:
            context.meter.fields += 3
            context.meter.types += 4
        return self._serve(number)

    async def _serve(self, number: int) -> Executed:
        if self.gate:
            await self.gate.wait()
        return self.answers.pop(0) if self.answers else Executed(b'{"data":%d}' % number)


class House:
    def __init__(self, schema: Schema, size_max_bytes: int = 1 << 20) -> None:
        self.schema, self.kitchen = schema, Kitchen()
        self.cache = TaggedCache[Any](size_max_bytes)
        self.kept = KeptAnswers(self.cache, schema)
        self.now = datetime(2026, 1, 1, tzinfo=UTC)

    def context(self, viewer: Viewer | None = None, **values: Any) -> Context:
        return Context(cast(Any, None), viewer=viewer, clock=lambda: self.now, meter=Meter(), **values)

    def prepared(self, text: str, variables: dict[str, Any] | None = None) -> Prepared:
        document = self.schema.document(text)
        assert document.valid, document.errors
        assert document.node is not None
        return Prepared(text, document, document.node, document.operations[0], variables, None)

    async def ask(self, text: str, viewer: Viewer | None = None, **values: Any) -> Executed:
        return await self.answer(text, self.context(viewer, **values))

    async def answer(self, text: str, context: Context, variables: dict[str, Any] | None = None) -> Executed:
        found = self.kept.answer(self.prepared(text, variables), context, self.kitchen)
        return found if isinstance(found, Executed) else await found


@pytest.fixture
def house(schema: Schema, monkeypatch: pytest.MonkeyPatch) -> House:
    async def next_change(*, now: datetime) -> datetime | None:
        return None

    monkeypatch.setattr(pricing, "next_change", next_change)
    return House(schema)


def somebody() -> Viewer:
    return viewer_of(new_id())


@pytest.mark.parametrize(("lasts_s", "after_s", "executed"), [(0, 59, 1), (0, 61, 2), (900, 61, 1), (900, 901, 2)])
async def test_an_answer_stays_beyond_its_age_where_changes_are_heard_of(
    schema: Schema, house: House, lasts_s: int, after_s: int, executed: int
) -> None:
    clock = 0.0
    house.cache = TaggedCache(1 << 20, clock=lambda: clock)
    house.kept = KeptAnswers(house.cache, schema, lasts_s=lasts_s)
    await house.ask(STATION)
    clock = float(after_s)
    await house.ask(STATION)
    assert house.kitchen.cooked == executed


async def test_what_everybody_sees_is_executed_once_for_all(house: House) -> None:
    bodies = {(await house.ask(STATION, viewer)).body for viewer in (None, somebody(), somebody())}
    assert bodies == {b'{"data":1}'}
    assert house.kitchen.cooked == 1


async def test_another_question_is_another_answer(house: House) -> None:
    await house.ask(STATION)
    await house.ask(STATION, locale="en")
    await house.ask(STATION.replace("name", "city"))
    text = "query A($id: ID!) { station(id: $id) { name } }"
    await house.answer(text, house.context(), {"id": "a"})
    await house.answer(text, house.context(), {"id": "b"})
    assert house.kitchen.cooked == 5


async def test_what_is_the_viewers_own_is_shown_to_them_alone(house: House) -> None:
    viewer = somebody()
    seen = {(await house.ask(MINE, each)).body for each in (viewer, somebody())}
    for other in (
        replace(viewer, scopes=frozenset({"profile"})),
        replace(viewer, client_id="another"),
        replace(viewer, vehicle_id="a car"),
    ):
        seen.add((await house.ask(MINE, other)).body)
    assert len(seen) == house.kitchen.cooked == 5
    assert (await house.ask(MINE, viewer)).body == b'{"data":1}'
    # A token that was renewed shows the same.
    await house.ask(MINE, replace(viewer, expires_at=viewer.expires_at + timedelta(hours=1), token_id=new_id()))
    assert house.kitchen.cooked == 5


async def test_nobodys_own_is_not_kept(house: House) -> None:
    await house.ask(MINE)
    await house.ask(MINE)
    assert house.kitchen.cooked == 2


@pytest.mark.parametrize(
    "answer",
    [
        Executed(b'{"data":{},"errors":[]}', failed=True),
        Executed(refused=[{"message": "no"}]),
        Executed(b'{"data":{}}', extensions={"x": 1}),
    ],
)
async def test_what_failed_is_not_kept(house: House, answer: Executed) -> None:
    house.kitchen.answers = [answer]
    assert await house.ask(STATION) == answer
    assert (await house.ask(STATION)).body == b'{"data":2}'


@pytest.mark.parametrize(
    "text",
    [
        "{ __schema { types { name } } }",
        "{ __typename }",
        '{ order(id: "x") { id } }',
        '{ node(id: "x") { id ... on Station { name } } }',
        "{ viewer { hasPaymentPassword } }",
        "{ viewer { wallet { held { fen } } sessions { edges { node { id } } } } }",
        "{ viewer { cards { edges { node { checkedAt } } } } }",
        '{ station(id: "x") { name drivingDistance(from: {latitude: 1, longitude: 2}) { __typename } } }',
        'query ($all: Boolean!) { station(id: "x") { name } offers @include(if: $all) { pageInfo { hasNextPage } } }',
        'mutation { cancelRecharge(input: {orderId: "x"}) { __typename } }',
        "{ ...Q } fragment Q on Query { viewer { orders { edges { node { orderedBy } } } } }",
    ],
)
async def test_what_the_schema_does_not_let_be_kept(house: House, text: str) -> None:
    assert house.schema.keeping(house.schema.document(text), house.prepared(text).operation) is None
    viewer = somebody()
    await house.ask(text, viewer)
    await house.ask(text, viewer)
    assert house.kitchen.cooked == 2


@pytest.mark.parametrize(
    ("text", "keeping"),
    [
        (STATION, Keeping(60, private=False, shows_stations=True)),
        (MINE, Keeping(60, private=True, shows_stations=False)),
        ("{ viewer { __typename } prices { pageInfo { hasNextPage } } }", Keeping(60, True, True)),
        ("{ ...Q } fragment Q on Query { viewer { ...V } } fragment V on Viewer { profile { id } }",
         Keeping(60, private=True, shows_stations=False)),
    ],
)  # fmt: skip
def test_the_shortest_age_and_the_narrowest_scope_count(schema: Schema, text: str, keeping: Keeping) -> None:
    document = schema.document(text)
    assert schema.keeping(document, document.operations[0]) == keeping


def test_what_everybody_may_keep_everybody_may_have(schema: Schema) -> None:
    """Who may not have a field must not get it out of a cache, and no check stands before that."""
    for name, field in cast(Any, schema.core.query_type).fields.items():
        control = cache_control_of(field)
        if control is not None and control.max_age:
            assert requirements_of(field) == [PUBLIC], name


def test_what_is_kept_by_its_entity_is_for_everybody(schema: Schema) -> None:
    """No type that may be in a fragment has a field that is checked, or somebody's own."""
    kinds = {
        kind.extensions["strawberry-definition"].origin: kind
        for kind in schema.core.type_map.values()
        if isinstance(kind, GraphQLObjectType) and "strawberry-definition" in kind.extensions
    }
    entities = [each for each in kinds if getattr(each, "entity", None) is not None]
    assert entities == [Station]
    for entity in entities:
        for each in (entity, *entity.entity.below):
            assert cache_control_of(kinds[each]) == AS_ITS_PARENT, each
            for name, field in kinds[each].fields.items():
                control = cache_control_of(field)
                assert control is None or control.scope is not CacheScope.PRIVATE, name
                assert not isinstance(field.resolve, Guarded), name


async def test_an_answer_that_is_kept_costs_what_its_execution_did(house: House) -> None:
    first, second = house.context(), house.context()
    await house.answer(STATION, first)
    await house.answer(STATION, second)
    assert cast(Meter, first.meter).total == cast(Meter, second.meter).total == 7


async def test_a_change_is_seen_by_the_next_who_asks(house: House) -> None:
    viewer, other = somebody(), somebody()
    for each in (viewer, other):
        await house.ask(MINE, each)
    await house.ask(STATION)
    house.cache.purge({purges.user_tag(viewer.user_id)})
    assert (await house.ask(MINE, viewer)).body == b'{"data":4}'
    assert (await house.ask(MINE, other)).body == b'{"data":2}'
    house.cache.purge({purges.USERS})
    assert (await house.ask(MINE, other)).body == b'{"data":5}'
    assert (await house.ask(STATION)).body == b'{"data":3}'
    house.cache.purge({purges.STATIONS})
    assert (await house.ask(STATION)).body == b'{"data":6}'


async def test_who_asks_at_once_waits_for_one_execution(house: House) -> None:
    house.kitchen.gate = asyncio.Event()
    asking = [asyncio.ensure_future(house.ask(STATION)) for _ in range(100)]
    await asyncio.sleep(0)
    house.kitchen.gate.set()
    assert {each.body for each in await asyncio.gather(*asking)} == {b'{"data":1}'}
    assert house.kitchen.cooked == 1


async def test_who_is_cancelled_leaves_it_to_another(house: House) -> None:
    house.kitchen.gate = asyncio.Event()
    leader, *others = (asyncio.ensure_future(house.ask(STATION)) for _ in range(20))
    await asyncio.sleep(0)
    leader.cancel()
    others[0].cancel()
    await asyncio.sleep(0)
    house.kitchen.gate.set()
    assert {each.body for each in await asyncio.gather(*others[1:])} == {b'{"data":2}'}
    assert house.kitchen.cooked == 2


async def test_who_waits_for_what_fails_asks_for_themselves(house: House) -> None:
    house.kitchen.gate = asyncio.Event()
    house.kitchen.answers = [Executed(b'{"data":null,"errors":[]}', failed=True)]
    asking = [asyncio.ensure_future(house.ask(STATION)) for _ in range(3)]
    await asyncio.sleep(0)
    house.kitchen.gate.set()
    first, *rest = await asyncio.gather(*asking)
    assert first.failed
    assert not any(each.failed for each in rest)


async def test_who_asks_after_a_change_does_not_wait_for_what_was_begun_before(house: House) -> None:
    viewer = somebody()
    house.kitchen.gate = asyncio.Event()
    before = asyncio.ensure_future(house.ask(MINE, viewer))
    waiting = asyncio.ensure_future(house.ask(MINE, viewer))
    await asyncio.sleep(0)
    house.cache.purge({purges.user_tag(viewer.user_id)})
    after = asyncio.ensure_future(house.ask(MINE, viewer))
    await asyncio.sleep(0)
    house.kitchen.gate.set()
    bodies = [each.body for each in await asyncio.gather(before, waiting, after)]
    assert bodies[0] == b'{"data":1}'
    assert bodies[2] == b'{"data":2}'
    # What is kept now was begun after the change, and who waited through it has it from no older one.
    assert bodies[1] != b'{"data":1}'
    assert (await house.ask(MINE, viewer)).body == b'{"data":2}'


async def test_an_answer_lasts_until_the_next_price_that_is_known(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[datetime] = []

    async def next_change(*, now: datetime) -> datetime | None:
        asked.append(now)
        return house.now + timedelta(seconds=10)

    monkeypatch.setattr(pricing, "next_change", next_change)
    seconds, lasting = 0.0, keep_times(house)
    house.cache.clock = lambda: seconds
    await house.ask(STATION)
    await house.ask(STATION.replace("name", "city"))
    assert lasting == [10.0, 10.0]
    assert len(asked) == 1
    seconds = 10.0
    await house.ask(STATION)
    assert house.kitchen.cooked == 3


def keep_times(house: House) -> list[float]:
    """Return a list that gets the time for which each answer is kept."""
    times: list[float] = []
    really: Callable[..., bool] = house.cache.keep

    def keep(fill: Any, key: Any, value: Any, *, lasts_s: float, **values: Any) -> bool:
        if key != keeping_module.NEXT_CHANGE:
            times.append(lasts_s)
        return really(fill, key, value, lasts_s=lasts_s, **values)

    house.cache.keep = keep  # type: ignore[method-assign]
    return times


async def test_without_room_everything_is_executed(schema: Schema) -> None:
    house = House(schema, size_max_bytes=0)
    await house.ask(STATION)
    await house.ask(STATION)
    assert house.kitchen.cooked == 2
    # A server then looks for nothing.
    assert _kept_answers(house.cache, schema, Settings()) is None


async def ask_and_know(house: House, letters: bytes, number: int) -> None:
    """Ask for the station of a number in these letters, by which the answer is known from then on."""
    prepared, context = house.prepared(STATION, {"number": number}), house.context()
    found = house.kept.answer(prepared, context, house.kitchen)
    assert isinstance(found, Executed) or await found
    keeping = house.schema.keeping(house.schema.document(STATION), prepared.operation)
    assert keeping is not None
    house.kept.know(letters, prepared, context, keeping)


async def test_what_was_asked_is_found_by_all_letters_and_its_text_is_kept_once(schema: Schema, house: House) -> None:
    asker = house.context()
    letters = [b'{"query": "A", "variables": {"number": %d}}' % number for number in range(3)]
    for number, each in enumerate(letters):
        await ask_and_know(house, each, number)
    assert len({id(house.kept.known(each, asker)) for each in letters}) == 3
    for other in (letters[0].replace(b"A", b"B"), letters[0] + b" ", b" " + letters[0], letters[0][:-1], b""):
        assert house.kept.known(other, asker) is None
    firsts = [alias[0] for alias in house.cache._aliases if isinstance(alias, tuple)]
    assert len(firsts) == 3
    assert len({id(first) for first in firsts}) == 1


async def test_what_is_kept_takes_no_more_than_is_counted(schema: Schema, house: House) -> None:
    """Variables and answers come from orjson, which takes several times what it writes."""
    house.cache = TaggedCache(1 << 22)
    house.kept = KeptAnswers(house.cache, schema)

    async def ask(number: int) -> None:
        letters = b'{"query": "A", "variables": {"number": %d}}' % number
        house.kitchen.answers.append(Executed(orjson.dumps({"data": ["station"] * 250})))
        await ask_and_know(house, letters, number)

    for number in range(20):
        await ask(number)
    before_bytes = house.cache.size_bytes
    tracemalloc.start()
    try:
        for number in range(20, 300):
            await ask(number)
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    counted = house.cache.size_bytes - before_bytes
    assert len(house.cache) == 300 + 1
    assert 0.7 * counted < taken < counted
