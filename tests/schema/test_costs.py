"""What a document costs before it is executed: never less than what it turns out to cost, and known in linear time."""

from __future__ import annotations

from typing import Any

import pytest
import strawberry
from graphql import GraphQLInterfaceType, GraphQLObjectType, GraphQLUnionType, OperationDefinitionNode, parse

from schema import root
from schema.extensions.costs import INTROSPECTION_WEIGHT, Prices, compiled
from schema.extensions.documents import Schema
from schema.extensions.plans import Plan
from schema.types import costs
from schema.types.charges import Price

SCHEMA = root.build()


@strawberry.type
class Thing:
    parts: list[str]


@strawberry.type
class Careless:
    things: list[Thing] = strawberry.field(directives=[costs.at_most(3)])


def price(document: str, variables: dict[str, Any] | None = None, name: str | None = None) -> Price:
    return SCHEMA.estimate(document, variables or {}, name)


def plan(document: str) -> Plan:
    node = parse(document)
    operation = next(each for each in node.definitions if isinstance(each, OperationDefinitionNode))
    return compiled(SCHEMA.prices, node, operation)


class TestSchema:
    def test_the_length_of_every_list_is_known(self) -> None:
        assert SCHEMA.prices.unsized() == []

    def test_a_list_without_a_length_is_noticed(self) -> None:
        assert Prices(Schema(query=Careless).core).unsized() == ["Thing.parts"]

    def test_every_connection_says_how_long_its_page_is(self) -> None:
        for kind in SCHEMA.core.type_map.values():
            if not isinstance(kind, GraphQLObjectType | GraphQLInterfaceType) or kind.name.startswith("__"):
                continue
            for name in kind.fields:
                priced = SCHEMA.prices.of_field(kind.name, name)
                assert priced is not None
                if priced.type.name.endswith("Connection"):
                    assert priced.size is not None, f"{kind.name}.{name}"
                    assert list(priced.size.sized_fields or ()) == ["edges"]
                    assert list(priced.size.slicing_arguments or ()) == ["first"]
                    assert "first" in priced.defaults

    def test_everything_at_the_root_that_does_not_answer_from_memory_has_a_weight(self) -> None:
        free = {("Query", "serviceStatus")}
        for parent in (SCHEMA.core.query_type, SCHEMA.core.mutation_type, SCHEMA.core.subscription_type):
            assert parent is not None
            light = {(parent.name, name) for name in parent.fields if SCHEMA.prices.of_call(parent.name, name) < 2}
            assert light - free == set()

    def test_the_sdl_shows_it(self) -> None:
        sdl = SCHEMA.as_str()
        assert "directive @cost(weight: String!) on" in sdl
        assert "directive @listSize(" in sdl
        assert '@cost(weight: "50")' in sdl
        assert '@listSize(slicingArguments: ["first"], sizedFields: ["edges"], requireOneSlicingArgument: false)' in sdl


class TestPrice:
    def test_what_leads_to_no_object_costs_no_more_than_the_request(self) -> None:
        assert price("{ __typename }") == Price(0, 1)

    def test_a_page_is_as_long_as_its_first(self) -> None:
        text = "{ offers(first: %d) { edges { node { id } } } }"
        # The connection and `edges`, then an edge, its `node` and the offer for each row.
        assert price(text % 1) == Price(5 + 1 + 1, 1 + 1 + 2)
        assert price(text % 7) == Price(5 + 1 + 7, 1 + 1 + 14)
        assert price(text % 0) == Price(5 + 1, 1 + 1)

    def test_without_first_its_default_counts(self) -> None:
        assert price("{ offers { edges { node { id } } } }") == price("{ offers(first: 20) { edges { node { id } } } }")

    def test_a_variable_counts_as_it_is_sent(self) -> None:
        text = "query ($n: Int! = 3) { offers(first: $n) { edges { node { id } } } }"
        for given, same in (({"n": 5}, 5), ({}, 3), ({"n": 100}, 100)):
            assert price(text, given) == price(f"{{ offers(first: {same}) {{ edges {{ node {{ id }} }} }} }}")

    @pytest.mark.parametrize("given", [10**9, 101, -5])
    def test_what_no_page_can_hold_is_counted_as_one_that_can(self, given: int) -> None:
        text = "query ($n: Int!) { offers(first: $n) { edges { node { id } } } }"
        assert price(text, {"n": given}) == price(text, {"n": min(max(given, 0), 100)})

    @pytest.mark.parametrize("given", ["many", None, [1], 1.5, {"a": 1}])
    def test_what_is_no_number_is_counted_as_the_most(self, given: Any) -> None:
        text = "query ($n: Int!) { offers(first: $n) { edges { node { id } } } }"
        assert price(text, {"n": given}) == price(text, {"n": 100})

    def test_pages_inside_pages_multiply(self) -> None:
        text = "{ stations(first: %d) { edges { node { priceHistory(product: GASOLINE_92, first: %d) "
        text += "{ edges { node { id } } } } } } }"
        inner = price(text % (1, 10)).total - price(text % (1, 0)).total
        assert price(text % (10, 10)).total - price(text % (10, 0)).total == 10 * inner

    def test_conditions_count_as_they_stand(self) -> None:
        nothing = Price(0, 1)
        whole = price("{ placeAt(location: {latitude: 31, longitude: 121}) { province } }")
        for directive, given, expected in (
            ("@include(if: $a)", {}, nothing),
            ("@include(if: $a)", {"a": True}, whole),
            ("@skip(if: $b)", {}, nothing),
            ("@skip(if: $b)", {"b": False}, whole),
            ("@skip(if: $b) @include(if: $a)", {"b": False}, nothing),
            ("@skip(if: $b) @include(if: $a)", {"b": False, "a": True}, whole),
            ("@include(if: true)", {}, whole),
            ("@skip(if: true)", {}, nothing),
            # It is refused before execution, and counted until then.
            ("@include(if: $a)", {"a": "no"}, whole),
        ):
            field = f"placeAt(location: {{latitude: 31, longitude: 121}}) {directive} {{ province }}"
            asked = f"query ($a: Boolean! = false, $b: Boolean! = true) {{ {field} __typename }}"
            node = parse(asked)
            (operation,) = node.definitions
            assert isinstance(operation, OperationDefinitionNode)
            assert compiled(SCHEMA.prices, node, operation).price(given) == expected, (directive, given)

    def test_fragments_count_where_they_are_spread(self) -> None:
        plain = price("{ a: offers(first: 3) { edges { node { id } } } b: offers(first: 4) { edges { node { id } } } }")
        text = """
        query ($n: Int!) { a: offers(first: 3) { ...P } b: offers(first: $n) { ... on OfferConnection { ...P } } }
        fragment P on OfferConnection { ...Q } fragment Q on OfferConnection { edges { node { ...O } } }
        fragment O on Offer { id }"""
        assert price(text, {"n": 4}) == plain

    def test_of_the_types_that_an_object_may_be_the_dearest_counts(self) -> None:
        order = price('{ node(id: "x") { ... on Order { card { id } story { __typename } } } }')
        both = '{ node(id: "x") { ... on Card { id } ... on Order { card { id } story { __typename } } } }'
        assert price(both) == order
        variable = """
        query ($n: Int!) { node(id: "x") {
          ... on Station { priceHistory(product: GASOLINE_92, first: $n) { edges { node { id } } } }
          ... on Order { story { __typename } }
        } }"""
        assert price(variable, {"n": 0}).types == 1 + 1 + 30
        assert price(variable, {"n": 100}).types > 200

    def test_introspection_has_a_price_of_its_own(self) -> None:
        assert price("{ __schema { types { fields { name } } } }") == Price(INTROSPECTION_WEIGHT, 1)

    def test_what_a_third_party_does_is_dear(self) -> None:
        checked = 'mutation { checkCard(input: {cardId: "x"}) { __typename } }'
        bound = 'mutation { bindCard(input: {number: "x"}) { __typename } }'
        assert price(checked).total > 4 * price(bound).total

    def test_it_stops_growing(self) -> None:
        text = "query ($n: Int!) { " + "".join(
            f"a{i}: stations(first: $n) {{ edges {{ node {{ priceHistory(product: GASOLINE_92, first: $n) "
            "{ edges { node { zone { id } } } } } } } "
            for i in range(5)
        )
        assert price(text + "}", {"n": 100}).total < 10**6


def chain(fragments: int, spreads: int) -> str:
    """Return a document whose fragments describe exponentially many fields."""
    text = "query ($n: Int!) { ...F0 }"
    for number in range(fragments):
        text += f" fragment F{number} on Query {{ a{number}: offers(first: $n) {{ edges {{ node {{ id }} }} }} "
        text += f" ...F{number + 1}" * spreads + " }"
    return f"{text} fragment F{fragments} on Query {{ __typename }}"


class TestWork:
    @pytest.mark.parametrize("spreads", [1, 2, 3])
    def test_compiling_and_adding_up_grow_with_the_length_alone(self, spreads: int) -> None:
        plans = [plan(chain(100 * times, spreads)) for times in (1, 2, 4)]
        looked_at = [each.visited for each in plans]
        open_parts = [sum(len(step.parts) for step in each.steps) for each in plans]
        for counted in (looked_at, open_parts):
            assert counted[1] <= 2 * counted[0] + 5
            assert counted[2] <= 4 * counted[0] + 5
        assert all(each.price({"n": 100}).total > 0 for each in plans)

    def test_a_request_adds_up_only_what_depends_on_its_variables(self) -> None:
        fixed = "{ " + " ".join(f"a{i}: offers(first: {i}) {{ edges {{ node {{ id }} }} }}" for i in range(40)) + " }"
        assert len(plan(fixed).steps) == 1
        assert not plan(fixed).steps[0].parts

    def test_a_document_is_compiled_once(self) -> None:
        text = "query Once($n: Int!) { offers(first: $n) { edges { node { id } } } }"
        node, _ = SCHEMA.read(text)
        (operation,) = node.definitions
        assert isinstance(operation, OperationDefinitionNode)
        assert SCHEMA.plan(SCHEMA.document(text), operation) is SCHEMA.plan(SCHEMA.document(text), operation)


def test_a_union_has_no_fields_of_its_own() -> None:
    for kind in SCHEMA.core.type_map.values():
        if isinstance(kind, GraphQLUnionType):
            assert SCHEMA.prices.of_field(kind.name, "id") is None
