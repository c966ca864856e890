"""What the specifications ask of a schema and its server: GraphQL of September 2025, and Relay's two."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
import strawberry
from graphql import (
    GraphQLField,
    GraphQLNonNull,
    GraphQLObjectType,
    get_introspection_query,
    get_named_type,
    is_required_argument,
    parse,
    resolve_schema_coordinate,
)

from kernel.access_states import SignInKind
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.states import StaffRole
from models.organisations import OrganisationInvitation, OrganisationLogEntry
from models.sign_ins import SignInRecord
from models.webhooks import WebhookDelivery
from resolvers.nodes import FINDERS
from schema.extensions.documents import Schema
from schema.root import build
from schema.types.deprecating import members
from schema.types.relay import global_id
from schema.types.requirements import RequiresRole
from tests.access_matrix.belongings import create_belongings
from tests.contracts.test_partner import WHOLE, WHOLE_SDL
from tests.organisations.support import DRIVER, create_firm
from tests.schema.books import create_books
from tests.schema.conftest import Client
from tests.schema.test_access import with_scopes
from tests.schema.test_staff import ordered, staff_client

SCHEMA = build().core
OBJECTS = [kind for kind in SCHEMA.type_map.values() if isinstance(kind, GraphQLObjectType)]
CONNECTIONS = [kind for kind in OBJECTS if kind.name.endswith("Connection")]
NODE = "query ($id: ID!) { node(id: $id) { __typename id } }"
NODES = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"
EVERY_SCOPE = ("profile", "cards", "recharge", "webhooks")


def pages() -> Iterator[tuple[str, GraphQLField]]:
    """Yield every field that answers a page, by its coordinate."""
    for kind in OBJECTS:
        for name, field in kind.fields.items():
            if get_named_type(field.type) in CONNECTIONS:
                yield f"{kind.name}.{name}", field


PAGES = dict(pages())


@strawberry.input(one_of=True, description="One of two.")
class Choice:
    a: strawberry.Maybe[int]
    b: strawberry.Maybe[str]


@strawberry.type
class Query:
    @strawberry.field
    def chosen(self, choice: Choice) -> str:
        return f"{choice.a.value if choice.a else None} {choice.b.value if choice.b else None}"


OWN = Schema(query=Query)


class TestSeptember2025:
    @pytest.mark.parametrize(
        "text", ["{ chosen(choice: { a: 1 }) }", 'query ($c: Choice! = { b: "x" }) { chosen(choice: $c) }']
    )
    async def test_one_of_takes_one(self, text: str) -> None:
        result = await OWN.execute(text)
        assert result.errors is None
        assert result.data in ({"chosen": "1 None"}, {"chosen": "None x"})

    @pytest.mark.parametrize("given", ['{ a: 1, b: "x" }', "{}", "{ a: null }", "{ a: 1, b: null }"])
    async def test_one_of_takes_neither_none_nor_two(self, given: str) -> None:
        assert (await OWN.execute(f"{{ chosen(choice: {given}) }}")).errors

    @pytest.mark.parametrize("given", [{"a": 1, "b": "x"}, {}, {"a": None}, {"a": 1, "b": None}])
    async def test_one_of_holds_in_variables(self, given: dict[str, Any]) -> None:
        text = "query ($c: Choice!) { chosen(choice: $c) }"
        assert (await OWN.execute(text, variable_values={"c": {"a": 2}})).data == {"chosen": "2 None"}
        assert (await OWN.execute(text, variable_values={"c": given})).errors
        nullable = "query ($a: Int) { chosen(choice: { a: $a }) }"
        assert (await OWN.execute(nullable, variable_values={"a": 1})).errors

    async def test_one_of_is_told_by_introspection_and_the_sdl(self) -> None:
        found = (await OWN.execute('{ __type(name: "Choice") { isOneOf } }')).data
        assert found == {"__type": {"isOneOf": True}}
        assert "input Choice @oneOf" in OWN.as_str()

    def test_every_part_has_a_coordinate_that_leads_back_to_it(self) -> None:
        coordinates = [coordinate for coordinate, _ in members(parse(WHOLE_SDL))]
        assert len(coordinates) > 1_000
        for coordinate in coordinates:
            assert resolve_schema_coordinate(WHOLE, coordinate) is not None, coordinate

    async def test_the_whole_introspection_of_that_edition_is_answered(self, nobody: Client) -> None:
        text = get_introspection_query(
            specified_by_url=True, directive_is_repeatable=True, schema_description=True, input_value_deprecation=True,
            one_of=True,
        )  # fmt: skip
        found = (await nobody.ask(text))["__schema"]
        assert {kind["name"] for kind in found["types"]} >= {"Query", "Order"}

    @pytest.mark.parametrize(
        "text",
        [
            '"""What for."""\nquery Described("How many." $n: Int = 1) { stations(first: $n) { edges { cursor } } }',
            '{ searchPlaces(text: "\\u{1F697} \\uD83D\\uDE97", near: { latitude: 31, longitude: 121 }) { title } }',
        ],
    )
    async def test_its_syntax_is_read(self, nobody: Client, text: str) -> None:
        answer = await nobody.post(text)
        assert answer.status_code == 200
        assert "errors" not in answer.json(), answer.text

    @pytest.mark.parametrize(
        "text",
        [
            "subscription { __typename }",
            "subscription ($s: Boolean!) { priceChanges @skip(if: $s) { __typename } }",
            "subscription { priceChanges { __typename } arrivals { __typename } }",
        ],
    )
    async def test_a_subscription_has_one_root_field_that_nothing_leaves_out(self, nobody: Client, text: str) -> None:
        assert await nobody.code(text, {"s": True}) == "GRAPHQL_VALIDATION_FAILED"


class TestIdentification:
    def test_every_node_is_found_by_its_id(self) -> None:
        interface: Any = SCHEMA.type_map["Node"]
        assert {kind.name for kind in SCHEMA.get_possible_types(interface)} == FINDERS.keys()

    def test_node_and_nodes_are_as_relay_wants_them(self) -> None:
        assert SCHEMA.query_type is not None
        node, nodes = (SCHEMA.query_type.fields[name] for name in ("node", "nodes"))
        assert (str(node.type), str(node.args["id"].type)) == ("Node", "ID!")
        assert (str(nodes.type), str(nodes.args["ids"].type)) == ("[Node]!", "[ID!]!")

    async def test_what_a_viewer_has_is_found_by_them_alone(self, client: Client) -> None:
        owned = await create_belongings(client.settings)
        owner = with_scopes(Client(client.http, client.settings, owned.owner), *EVERY_SCOPE)
        own = {name: id for name, id in owned.ids.items() if not isinstance(FINDERS[name].requirement, RequiresRole)}
        for name, id in own.items():
            assert (await owner.ask(NODE, {"id": id}))["node"] == {"__typename": name, "id": id}
        wanted = [*own.values()]
        found = (await owner.ask(NODES, {"ids": [*wanted, "nonsense", wanted[0]]}))["nodes"]
        assert [each and each["id"] for each in found] == [*wanted, None, wanted[0]]
        others = (await client.ask(NODES, {"ids": wanted}))["nodes"]
        assert {each["__typename"] for each in others if each} == {"Offer", "PriceZone", "Station"}
        less = with_scopes(owner, "cards")
        assert (await less.ask(NODE, {"id": owned.ids["WebhookDelivery"]}))["node"] is None
        await WebhookDelivery.all().delete()
        assert (await owner.ask(NODE, {"id": owned.ids["WebhookDelivery"]}))["node"] is None

    async def test_what_waits_for_staff_is_found_by_those_who_may_see_it(self, client: Client) -> None:
        rows = await _books(client)
        for id, name in rows.items():
            requirement = FINDERS[name].requirement
            assert isinstance(requirement, RequiresRole)
            for role in StaffRole:
                colleague = await staff_client(client, role)
                found = (await colleague.ask(NODE, {"id": id}))["node"]
                assert found == ({"__typename": name, "id": id} if role in requirement.roles else None)
            assert (await client.ask(NODE, {"id": id}))["node"] is None

    async def test_a_line_about_somebody_is_found_by_them_and_by_those_who_audit(self, client: Client) -> None:
        assert client.viewer is not None
        row = await SignInRecord.create(
            id=new_id(), occurred_at=utc_now(), kind=next(iter(SignInKind)), reason="", signals=[],
            owner_id=client.viewer.user_id, client_id="tests", grant_type="", device_name="", device_digest="",
            address_masked="", address_digest="", city="",
        )  # fmt: skip
        wanted = {"id": str(global_id("SignIn", row.id))}
        stranger, owner = await client.another_person(), with_scopes(client, "profile")
        auditor, support = [await staff_client(client, role) for role in (StaffRole.AUDITOR, StaffRole.SUPPORT)]
        others = [support, with_scopes(stranger, "profile"), with_scopes(client, "cards")]
        for whose, sees in [(owner, True), (auditor, True), *((each, False) for each in others)]:
            assert ((await whose.ask(NODE, wanted))["node"] is not None) == sees

    async def test_what_an_organisation_has_is_found_by_those_whose_role_shows_it(self, client: Client) -> None:
        firm = await create_firm()
        driver, member = await firm.join(DRIVER)
        invitation = await OrganisationInvitation.first()
        change = await OrganisationLogEntry.first()
        rows = {"OrganisationMember": member, "Invitation": invitation, "OrganisationLogItem": change}
        owner, colleague = (with_scopes(replace(client, viewer=each), "profile") for each in (firm.owner, driver))
        for name, row in rows.items():
            assert row is not None
            id = str(global_id(name, row.id))
            assert (await owner.ask(NODE, {"id": id}))["node"] == {"__typename": name, "id": id}
            assert ((await colleague.ask(NODE, {"id": id}))["node"] is None) == (name != "OrganisationMember")
            assert (await with_scopes(client, "profile").ask(NODE, {"id": id}))["node"] is None
            assert (await with_scopes(owner, "cards").ask(NODE, {"id": id}))["node"] is None
        other = str(global_id("OrganisationMember", firm.owner_member.id))
        assert (await colleague.ask(NODE, {"id": other}))["node"] is None

    async def test_more_ids_than_allowed_are_refused(self, nobody: Client) -> None:
        assert (await nobody.ask(NODES, {"ids": []}))["nodes"] == []
        assert (await nobody.ask(NODES, {"ids": ["x"] * 20}))["nodes"] == [None] * 20
        (error,) = (await nobody.post(NODES, {"ids": ["x"] * 21})).json()["errors"]
        assert error["extensions"] == {"code": "TOO_MANY_IDS", "maximum": 20}


async def _books(client: Client) -> dict[str, str]:
    """Return the ids of what staff see, with the names of their types."""
    await ordered(client)
    return {str(global_id(name, row.id)): name for name, row in (await create_books()).items()}


class TestConnections:
    def test_there_are_many(self) -> None:
        assert len(CONNECTIONS) > 10
        assert PAGES.keys() > {"Station.priceHistory", "Viewer.cards", "Query.offers"}

    @pytest.mark.parametrize("kind", CONNECTIONS, ids=lambda kind: kind.name)
    def test_each_has_edges_and_tells_where_its_page_ends(self, kind: GraphQLObjectType) -> None:
        edge = get_named_type(kind.fields["edges"].type)
        assert str(kind.fields["edges"].type) == f"[{edge.name}!]!"
        assert edge.name == kind.name.replace("Connection", "Edge")
        assert isinstance(edge, GraphQLObjectType)
        assert str(edge.fields["cursor"].type) == "String!"
        assert isinstance(edge.fields["node"].type, GraphQLNonNull)
        info: Any = get_named_type(kind.fields["pageInfo"].type)
        assert str(kind.fields["pageInfo"].type) == "PageInfo!"
        assert {name: str(field.type) for name, field in info.fields.items()} == {
            "hasNextPage": "Boolean!",
            "hasPreviousPage": "Boolean!",
            "startCursor": "String",
            "endCursor": "String",
        }

    @pytest.mark.parametrize("coordinate", PAGES)
    def test_each_is_asked_for_by_first_and_after(self, coordinate: str) -> None:
        given = PAGES[coordinate].args
        assert (str(given["first"].type), str(given["after"].type)) == ("Int!", "String")
        assert 1 <= given["first"].default_value <= 50

    async def test_a_page_has_bounds_and_cursors_are_its_own(self, client: Client) -> None:
        colleague = await staff_client(client, *StaffRole)
        customer, asked = with_scopes(client, *EVERY_SCOPE), 0
        for coordinate, page in PAGES.items():
            parent, name = coordinate.split(".")
            if parent not in {"Query", "Viewer"} or any(map(is_required_argument, page.args.values())):
                continue
            whose = customer if parent == "Viewer" or name in {"notices", "webhooks"} else colleague
            for given, code in (
                ("first: 0", "PAGE_SIZE_INVALID"),
                ("first: -1", "PAGE_SIZE_INVALID"),
                ("first: 101", "PAGE_SIZE_INVALID"),
                ('after: "nonsense"', "CURSOR_INVALID"),
            ):
                field = f"{name}({given}) {{ pageInfo {{ endCursor }} }}"
                text = f"{{ viewer {{ {field} }} }}" if parent == "Viewer" else f"{{ {field} }}"
                assert await whose.code(text) == code, (coordinate, given)
                asked += 1
        assert asked > 40
