"""Switches over GraphQL: what they do to every client, who may turn them, and that nothing is changed meanwhile."""

from __future__ import annotations

import asyncio
import time
from datetime import timedelta
from typing import Any

import pytest
from graphql import GraphQLObjectType, GraphQLUnionType, get_named_type

from kernel.clock import utc_now
from kernel.states import StaffRole, Switch
from models.cards import FuelCard
from models.events import Event
from models.switches import SwitchChange
from schema.root import build
from schema.types.availability import is_available_in_maintenance
from tests.factories import create_offer
from tests.sandbox_fixtures import Sandbox
from tests.schema.conftest import Client
from tests.schema.support import BIND, ORDER, ask, bind_card, order, refused, trace
from tests.schema.test_staff import staff_client

STATUS = "{ serviceStatus { mode simplified marketingHidden message until degraded { party since } } }"
TURN = """
mutation ($switch: Switch!, $on: Boolean!, $reason: String! = "a drill", $notice: String, $until: DateTime) {
  answer: turnSwitch(input: { switch: $switch, on: $on, reason: $reason, notice: $notice, until: $until }) {
    __typename
    ... on TurnSwitchSuccess { switch on }
    ... on UserError { code message }
  }
}"""
CANCEL = """
mutation ($order: ID!) {
  answer: cancelRecharge(input: { orderId: $order }) {
    __typename
    ... on UserError { code message }
    ... on MaintenanceError { until }
  }
}"""
OFFERS = "{ offers { edges { node { title } } } }"
OBEYED_WITHIN_S = 60.0
NORMAL = {
    "mode": "NORMAL",
    "simplified": False,
    "marketingHidden": False,
    "message": None,
    "until": None,
    "degraded": [],
}


async def operator(client: Client) -> Client:
    return await staff_client(client, StaffRole.OPERATIONS)


async def status(client: Client) -> Any:
    return (await client.ask(STATUS))["serviceStatus"]


async def until_told(client: Client, **expected: Any) -> Any:
    """Return the status as soon as it is as expected."""
    deadline = time.monotonic() + OBEYED_WITHIN_S
    while not expected.items() <= (told := await status(client)).items():
        assert time.monotonic() < deadline, told
        await asyncio.sleep(0.01)
    return told


async def turn(client: Client, switch: Switch, *, on: bool = True, **given: Any) -> None:
    answer = await ask(await operator(client), TURN, switch=switch, on=on, **given)
    assert answer == {"__typename": "TurnSwitchSuccess", "switch": switch, "on": on}


async def test_nothing_is_on_at_first(nobody: Client) -> None:
    assert await status(nobody) == NORMAL


class TestMaintenance:
    async def test_users_change_nothing_and_are_told_until_when(self, client: Client) -> None:
        card = await bind_card(client)
        made = await order(client, card)
        until = utc_now().replace(microsecond=0) + timedelta(hours=1)
        await turn(client, Switch.MAINTENANCE, notice="数据库升级", until=until.isoformat())
        told = await until_told(client, mode="MAINTENANCE")
        assert told["message"] == "数据库升级"
        before, cards = await trace(), await FuelCard.all().count()
        assert await refused(client, CANCEL, order=made["id"]) == ("MaintenanceError", "MAINTENANCE")
        assert (await ask(client, CANCEL, order=made["id"]))["until"] == told["until"] is not None
        assert await refused(client, ORDER, card=card, key="another-key", amount="100.00") == (
            "MaintenanceError",
            "MAINTENANCE",
        )
        assert (await ask(client, BIND, number="9030000000000000001"))["code"] == "MAINTENANCE"
        assert (await trace(), await FuelCard.all().count()) == (before, cards)
        # Whoever looks may look.
        query = "query ($id: ID!) { order(id: $id) { state } }"
        assert (await client.ask(query, {"id": made["id"]}))["order"]["state"] == "PENDING_PAYMENT"

    async def test_nobody_who_is_not_signed_in_learns_more(self, client: Client, nobody: Client) -> None:
        await turn(client, Switch.MAINTENANCE)
        await until_told(client, mode="MAINTENANCE")
        assert (await ask(nobody, CANCEL, order="T3JkZXI6MQ"))["code"] == "MAINTENANCE"

    async def test_staff_may_end_it_and_do_nothing_else(self, client: Client) -> None:
        card = await bind_card(client)
        made = await order(client, card)
        await turn(client, Switch.MAINTENANCE)
        await until_told(client, mode="MAINTENANCE")
        member = await staff_client(client, *StaffRole)
        review = """mutation ($id: ID!) { answer: reviewOrder(input: {orderId: $id, decision: APPROVE, reason: "ok"})
          { __typename ... on UserError { code } } }"""
        assert (await ask(member, review, id=made["id"]))["code"] == "MAINTENANCE"
        await turn(client, Switch.MAINTENANCE, on=False)
        assert await until_told(client, mode="NORMAL") == NORMAL
        assert (await ask(client, CANCEL, order=made["id"]))["__typename"] == "CancelRechargeSuccess"

    async def test_each_field_of_a_document_is_refused(self, client: Client) -> None:
        await turn(client, Switch.MAINTENANCE)
        await until_told(client, mode="MAINTENANCE")
        one = 'bindCard(input: { number: "1000111234567890123" }) { __typename }'
        answer = await client.ask(f"mutation {{ a: {one} ...F }} fragment F on Mutation {{ b: {one} }}")
        assert answer == {"a": {"__typename": "MaintenanceError"}, "b": {"__typename": "MaintenanceError"}}
        assert await FuelCard.all().count() == 0


# What ends a permission, or answers a car that waits, moves no money, and a thief does not wait for the maintenance.
TAKES_AWAY = {
    "approveDevice",
    "denyDevice",
    "endAllSessions",
    "endSession",
    "revokeMandate",
    "rotateClientKey",
}


def test_every_mutation_tells_of_maintenance_in_its_own_union_or_works_in_it() -> None:
    mutations = build().core.mutation_type
    assert isinstance(mutations, GraphQLObjectType)
    available = {name for name, field in mutations.fields.items() if is_available_in_maintenance(field)}
    assert available == {"turnSwitch"} | TAKES_AWAY
    for name, field in mutations.fields.items():
        union = get_named_type(field.type)
        assert isinstance(union, GraphQLUnionType)
        assert ("MaintenanceError" in {kind.name for kind in union.types}) == (name not in available), name


async def test_hidden_marketing_is_not_there_and_comes_back(client: Client) -> None:
    await create_offer()
    assert len((await client.ask(OFFERS))["offers"]["edges"]) == 1
    await turn(client, Switch.HIDE_MARKETING)
    await until_told(client, marketingHidden=True, mode="NORMAL", simplified=False)
    assert (await client.ask(OFFERS))["offers"]["edges"] == []
    await turn(client, Switch.HIDE_MARKETING, on=False)
    await until_told(client, marketingHidden=False)
    assert len((await client.ask(OFFERS))["offers"]["edges"]) == 1


async def test_simplified_pages_are_told(client: Client) -> None:
    await turn(client, Switch.SIMPLIFIED_PAGES)
    assert await until_told(client, simplified=True) == {**NORMAL, "simplified": True}


class TestWhoAndHow:
    @pytest.mark.parametrize("role", [role for role in StaffRole if role is not StaffRole.OPERATIONS])
    async def test_other_staff_may_not(self, client: Client, role: StaffRole) -> None:
        member = await staff_client(client, role)
        assert await refused(member, TURN, switch="MAINTENANCE", on=True) == ("Forbidden", "FORBIDDEN")
        await self.assert_untouched(client)

    async def test_users_may_not(self, client: Client, nobody: Client) -> None:
        assert await refused(client, TURN, switch="MAINTENANCE", on=True) == ("Forbidden", "FORBIDDEN")
        assert await nobody.code(TURN, {"switch": "MAINTENANCE", "on": True}) == "UNAUTHENTICATED"
        await self.assert_untouched(client)

    @pytest.mark.parametrize(
        ("given", "code"),
        [
            ({"reason": " "}, "SWITCH_REASON_INVALID"),
            ({"reason": "x" * 257}, "SWITCH_REASON_INVALID"),
            ({"notice": "x" * 257}, "SWITCH_NOTICE_INVALID"),
            ({"until": "2026-01-01T00:00:00Z"}, "SWITCH_NOTICE_INVALID"),
            ({"on": False, "notice": "x"}, "SWITCH_NOTICE_INVALID"),
            ({"on": False, "until": "2100-01-01T00:00:00Z"}, "SWITCH_NOTICE_INVALID"),
        ],
    )
    async def test_what_cannot_be_is_refused(self, client: Client, given: dict[str, Any], code: str) -> None:
        wish = {"switch": "MAINTENANCE", "on": True, **given}
        assert await refused(await operator(client), TURN, **wish) == ("SwitchError", code)
        await self.assert_untouched(client)

    async def test_who_did_it_and_why_is_kept(self, client: Client) -> None:
        await turn(client, Switch.SIMPLIFIED_PAGES, reason="the autumn rush")
        (row,) = await SwitchChange.all()
        assert (row.switch, row.on, row.reason) == (Switch.SIMPLIFIED_PAGES, True, "the autumn rush")
        assert row.changed_by.startswith("staff:")

    async def assert_untouched(self, client: Client) -> None:
        assert not await SwitchChange.exists()
        assert not await Event.exists(type="switch.turned")
        assert await status(client) == NORMAL


async def test_a_third_party_that_is_not_called_is_told_of_and_forgotten_when_it_answers(
    client: Client, sandbox: Sandbox
) -> None:
    sandbox.faults(lbs="error_500")
    place = "{ placeAt(location: { latitude: 31.2, longitude: 121.45 }) { title } }"
    while not (degraded := (await status(client))["degraded"]):
        assert await client.code(place) == "PLACES_UNAVAILABLE"
    assert [each["party"] for each in degraded] == ["tencent_lbs"]
    sandbox.clear_faults()
    deadline = time.monotonic() + 3 * client.settings.third_party_pause_s
    while (await status(client))["degraded"]:
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)
        await client.post(place)
    assert (await client.ask(place))["placeAt"]["title"]
