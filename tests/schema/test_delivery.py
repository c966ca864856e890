"""`@delivery` in the schema, and that what everybody gets needs nobody in particular."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from typing import Any, cast

import pytest
import strawberry
from graphql import GraphQLNamedType, get_named_type, is_composite_type, is_leaf_type, is_union_type

from domain.events.cursors import Cursor
from domain.events.ports import StoredEvent
from domain.events.queries import after as events_after
from domain.events.queries import standing_of
from domain.events.streams import PRICES
from domain.stations.feed import PriceFeed
from domain.stations.index import StationIndex
from kernel.settings import Settings
from kernel.states import Product
from resolvers import loaders
from schema.root import build
from schema.types.context import Context, Services
from schema.types.delivery import DeliveryAudience, DeliveryPolicy, DeliveryRule, rule_of
from subscriptions import streams
from tests.subscriptions.happenings import change_price, create_zone

SCHEMA = build()
LOSSLESS = DeliveryRule(DeliveryPolicy.LOSSLESS, DeliveryAudience.VIEWER)
LATEST = DeliveryRule(DeliveryPolicy.LATEST, DeliveryAudience.EVERYONE)
DEPTH_MAX = 6


class TestDirective:
    def test_code_reads_what_the_schema_says(self) -> None:
        told = {name: rule_of(SCHEMA.core, name) for name in fields()}
        assert told == {"arrivals": LOSSLESS, "orderUpdated": LOSSLESS, "alerts": LOSSLESS, "priceChanges": LATEST}

    def test_the_sdl_says_it(self) -> None:
        sdl = SCHEMA.as_str()
        assert "directive @delivery(policy: DeliveryPolicy!, audience: DeliveryAudience!) on FIELD_DEFINITION" in sdl
        assert sdl.count("@delivery(policy: LOSSLESS, audience: VIEWER)") == 3
        assert sdl.count("@delivery(policy: LATEST, audience: EVERYONE)") == 1

    def test_without_a_directive_there_is_no_rule(self) -> None:
        async def tick() -> AsyncGenerator[int, None]:
            yield 1

        @strawberry.type
        class Query:
            nothing: int = 0

        @strawberry.type
        class Subscription:
            ticks: Any = strawberry.subscription(resolver=tick, graphql_type=int)

        schema = strawberry.Schema(query=Query, subscription=Subscription)
        assert rule_of(schema._schema, "ticks") is None
        with pytest.raises(KeyError):
            rule_of(schema._schema, "tocks")
        with pytest.raises(KeyError):
            rule_of(strawberry.Schema(query=Query)._schema, "ticks")


class TestContract:
    def test_each_root_event_has_a_cursor_and_a_conflation_key(self) -> None:
        for name in fields():
            for member in members(name):
                assert "cursor" in cast(Any, member).fields, member.name
                definition = cast(Any, member).extensions["strawberry-definition"]
                assert "conflation_key" in definition.origin.__annotations__, member.name
                interfaces = {interface.name for interface in cast(Any, member).interfaces}
                assert interfaces == ({"StreamEvent", "StreamGap"} if member.name.endswith("Gap") else {"StreamEvent"})

    async def test_prices_are_conflated_by_zone_and_product_and_nothing_else_is(self, database: str) -> None:
        zone = await create_zone("yunnan-1")
        await change_price(zone, Product.DIESEL_0, 7_995, days_ago=2)
        root = await first_root("priceChanges { __typename }", await beginning())
        assert root.conflation_key == f"{zone.id}:{Product.DIESEL_0.value}"
        gap = await first_root("priceChanges { __typename }", Cursor("0" * 12, PRICES, 0).text)
        assert gap.conflation_key is None


class TestEveryone:
    async def test_whatever_can_be_asked_of_an_event_for_everyone_needs_nobody(self, database: str) -> None:
        """Ask for every field that can be reached, as nobody whose name may not even be looked at."""
        await change_price(await create_zone("yunnan-1"), Product.DIESEL_0, 7_995, days_ago=2)
        await change_price(await create_zone("yunnan-2"), Product.DIESEL_0, 7_996, days_ago=2)
        for name in fields():
            if rule_of(SCHEMA.core, name) != LATEST:
                continue
            whole = " ".join(f"... on {member.name} {selection(member)}" for member in members(name))
            for after in (await beginning(), Cursor("0" * 12, PRICES, 0).text):
                query = f'subscription {{ {name}(after: "{after}") {{ __typename {whole} }} }}'
                result = await first(query)
                assert result.errors is None, result.errors
                assert result.data is not None

    async def test_the_check_finds_what_asks_for_the_viewer(self, database: str) -> None:
        with pytest.raises(AssertionError, match="who the viewer is"):
            _ = Nobody(services=services(), loaders=loaders.build()).signed_in


class Nobody(Context):
    """A context that fails a test where the viewer is looked at."""

    @property
    def viewer(self) -> Any:
        raise AssertionError("somebody asked who the viewer is")

    @viewer.setter
    def viewer(self, value: Any) -> None:
        assert value is None


class Told:
    """An event source that reads the table once."""

    async def follow(self, stream: str, *, after: int | None) -> AsyncGenerator[StoredEvent, None]:
        for event in await events_after(stream, position=after or 0, limit=100):
            yield event


def fields() -> list[str]:
    subscription = SCHEMA._schema.subscription_type
    assert subscription is not None
    return list(subscription.fields)


def members(name: str) -> list[GraphQLNamedType]:
    """Return the types of which the field delivers one."""
    subscription = SCHEMA._schema.subscription_type
    assert subscription is not None
    union = get_named_type(subscription.fields[name].type)
    assert is_union_type(union)
    return list(cast(Any, union).types)


def selection(kind: Any, depth: int = 0) -> str:
    """Select everything below a type, as deep as DEPTH_MAX."""
    parts = ["__typename"]
    for name, field in kind.fields.items():
        below = get_named_type(field.type)
        assert all(argument.default_value is not None for argument in field.args.values()) or not field.args
        if is_leaf_type(below):
            parts.append(name)
        elif is_composite_type(below) and depth < DEPTH_MAX:
            assert not is_union_type(below)
            parts.append(f"{name} {selection(below, depth + 1)}")
    return "{ " + " ".join(parts) + " }"


def services() -> Services:
    index, nobody = StationIndex(), cast(Any, None)
    return Services(
        settings=Settings(),
        third_parties=nobody,
        policy=nobody,
        sealer=nobody,
        tokens=nobody,
        events=Told(),
        stations=index,
        prices=PriceFeed(index),
    )


async def beginning() -> str:
    return (await standing_of(PRICES)).cursor(0)


async def first(query: str) -> Any:
    context = Nobody(services=services(), loaders=loaders.build())
    stream = cast(Any, await SCHEMA.subscribe(query, context_value=context))
    try:
        return await anext(stream)
    finally:
        await stream.aclose()


async def first_root(field: str, after: str) -> Any:
    """Return the first object that the field's generator yields."""
    info = cast(Any, type("Info", (), {"context": Nobody(services=services(), loaders=loaders.build())}))
    stream = await streams.price_changes(info, after=after)
    try:
        return await anext(stream)
    finally:
        await stream.aclose()
