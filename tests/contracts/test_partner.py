"""The schema that partners see: valid by itself, and nothing of staff's is in it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from graphql import GraphQLError, GraphQLSchema, build_schema, parse, print_ast, validate, validate_schema

from domain.access.rules import POSSIBLE_SCOPES
from kernel.states import ClientKind
from schema import staff_root
from schema.contracts.partner import HEADER, partner_sdl
from schema.sdl import PARTNER_PATH, PATH

WHOLE_SDL, PARTNER_SDL = PATH.read_text(encoding="utf-8"), PARTNER_PATH.read_text(encoding="utf-8")
WHOLE, PARTNER = build_schema(WHOLE_SDL), build_schema(PARTNER_SDL)
OWN = """
directive @public on FIELD_DEFINITION
directive @requiresScopes(scopes: [[String!]!]!) on FIELD_DEFINITION
directive @requiresRole(roles: [Role!]!) on FIELD_DEFINITION
directive @internal on FIELD_DEFINITION | ARGUMENT_DEFINITION | INPUT_FIELD_DEFINITION | ENUM_VALUE
directive @policy(of: Policy!) on FIELD_DEFINITION
enum Role { BOSS }
enum Policy { KIND }
enum Colour { RED GREY @internal }
interface Node { id: ID! }
interface Error { code: String! }
type Thing implements Node { id: ID! colour: Colour! note: Note @internal }
type Note implements Node { id: ID! }
type Secret implements Node { id: ID! thing: Thing! }
type Refusal implements Error { code: String! }
type Denial implements Error { code: String! }
type Unnamed implements Error { code: String! where: Place! }
type Place { name: String! }
union Answer = Thing | Refusal
union StaffAnswer = Secret | Denial
input Filter { name: String hidden: Hidden @internal }
input Hidden { by: String }
type Query {
  node(id: ID!): Node @public
  things(filter: Filter, all: Hidden @internal): [Thing!]! @requiresScopes(scopes: [["a"], ["b"]]) @policy(of: KIND)
  both: Answer! @requiresScopes(scopes: [["a", "b"]])
  error: Error @public
  secrets: StaffAnswer! @requiresRole(roles: [BOSS])
}
"""


def coordinates(schema: GraphQLSchema) -> Iterator[str]:
    for name, kind in schema.type_map.items():
        yield name
        for part in {**getattr(kind, "fields", {}), **getattr(kind, "values", {})}:
            yield f"{name}.{part}"


def test_the_committed_file_is_made_from_the_schema_and_valid_by_itself() -> None:
    assert partner_sdl(WHOLE_SDL, POSSIBLE_SCOPES[ClientKind.PARTNER]) == PARTNER_SDL
    assert validate_schema(PARTNER) == []
    assert set(coordinates(PARTNER)) < set(coordinates(WHOLE))


@pytest.mark.parametrize(
    ("root", "staffs"),
    [
        (PARTNER.query_type, staff_root.StaffQuery),
        (PARTNER.mutation_type, staff_root.StaffMutation),
        (PARTNER.subscription_type, staff_root.StaffSubscription),
    ],
)
def test_nothing_of_the_root_of_staff_is_in_it(root: object, staffs: type) -> None:
    names = {field.graphql_name or field.name for field in staffs.__strawberry_definition__.fields}  # type: ignore[attr-defined]
    assert names
    camel = {name.split("_")[0] + "".join(part.title() for part in name.split("_")[1:]) for name in names}
    assert not camel & root.fields.keys()  # type: ignore[attr-defined]


def test_nothing_that_only_staff_comes_to_is_in_it() -> None:
    gone = set(coordinates(WHOLE)) - set(coordinates(PARTNER))
    for name in ("Case", "OrderReview", "ReconciliationRun", "StaffRole", "DecisionError", "Alert", "OrderStep.actor"):
        assert name in gone
    assert "@requiresRole" not in PARTNER_SDL
    assert "@internal" not in PARTNER_SDL
    assert '"staff"' not in PARTNER_SDL
    assert "Work in the back office" not in PARTNER_SDL


def test_what_a_partner_comes_to_is_all_there() -> None:
    for name in ("PriceChangedError", "Session", "WebhookDelivery", "DeliveryPolicy", "Mutation.createRecharge"):
        assert name in set(coordinates(PARTNER))
    assert '@requiresScopes(scopes: [["recharge"], ["webhooks"]])' in PARTNER_SDL
    assert '@requiresScopes(scopes: [["recharge"]])' in PARTNER_SDL


def test_what_our_clients_ask_is_valid_there_too() -> None:
    for path in sorted((Path(__file__).parents[2] / "clients" / "documents").glob("*.graphql")):
        assert validate(PARTNER, parse(path.read_text(encoding="utf-8"))) == [], path.name


def test_what_staff_ask_is_not() -> None:
    for text in ("{ reviews { edges { cursor } } }", "subscription { alerts { __typename } }"):
        assert validate(WHOLE, parse(text)) == []
        assert validate(PARTNER, parse(text)) != []


class TestRules:
    def test_what_others_alone_lead_to_is_gone(self) -> None:
        schema = build_schema(partner_sdl(OWN, {"a", "b"}))
        names = {name for name in coordinates(schema) if not name.startswith("__")}
        for gone in ("Secret", "StaffAnswer", "Denial", "Role", "Note", "Hidden", "Filter.hidden", "Colour.GREY"):
            assert gone not in names
        assert "all" not in schema.type_map["Query"].fields["things"].args  # type: ignore[attr-defined]
        # What stands for an interface without being named stays, with what it has in turn.
        assert {"Unnamed", "Place", "Refusal", "Thing", "Policy"} <= names

    def test_alternatives_of_others_are_left_out(self) -> None:
        text = partner_sdl(OWN, {"b"})
        assert '@requiresScopes(scopes: [["b"]])' in text
        assert "both" not in text
        assert "Answer" not in text

    def test_directives_that_nothing_uses_are_gone(self) -> None:
        text = partner_sdl(OWN, ())
        assert "directive @public" in text
        for name in ("requiresRole", "requiresScopes", "internal", "policy"):
            assert name not in text

    def test_it_is_the_same_made_again(self) -> None:
        once = partner_sdl(OWN, {"a"})
        assert once.startswith(HEADER)
        assert HEADER + print_ast(parse(once)) + "\n" == once

    def test_what_is_no_sdl_is_refused(self) -> None:
        with pytest.raises(GraphQLError):
            partner_sdl("type Query {", {"a"})
