"""What staff see and decide over GraphQL, and that nobody else does."""

from __future__ import annotations

from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from domain.identity import staff
from domain.identity.staff import STAFF_CLIENT_ID, STAFF_SCOPE
from domain.identity.tokens import authority
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.states import OrderState, StaffRole
from models.identity import StaffMember
from models.ledger import LedgerTransaction
from models.orders import RechargeOrder
from models.reviews import ManualCase, Review
from schema.types.relay import global_id
from tests.factories import create_staff
from tests.schema.conftest import Client
from tests.schema.test_bad_input import bind, create

STORY = """
query ($id: ID!) {
  order(id: $id) { state story { version rule trigger fromState toState by at actor reason requestId } }
}"""
WISHES = {
    "reviewOrder": 'reviewOrder(input: {orderId: $id, decision: APPROVE, reason: "ok"})',
    "proposeReversal": 'proposeReversal(input: {orderId: $id, reason: "ok"})',
    "proposeOutcome": 'proposeOutcome(input: {caseId: $id, outcome: WRITE_OFF, reason: "ok"})',
    "approveCase": "approveCase(input: {caseId: $id, outcome: WRITE_OFF})",
}
DECISIONS = {
    name: f"mutation ($id: ID!) {{ answer: {wish} {{ __typename ... on UserError {{ code }} }} }}"
    for name, wish in WISHES.items()
}
NODE = "query ($id: ID!) { node(id: $id) { id } }"
LISTS = ("{ reviews { edges { node { id } } } }", "{ cases { edges { node { id } } } }")


async def staff_client(client: Client, *roles: StaffRole) -> Client:
    member = await create_staff(*roles)
    token = authority(client.settings).issue(
        user_id=member.id, client_id=STAFF_CLIENT_ID, scopes=frozenset({STAFF_SCOPE}), now=utc_now()
    )
    return replace(client, viewer=None, headers={"Authorization": f"Bearer {token}", "Accept-Language": "en"})


async def ordered(client: Client) -> str:
    created = await create(client, (await bind(client))["card"]["id"], "500.00")
    return str(created["order"]["id"])


async def test_one_query_tells_the_owner_and_staff_the_whole_story(client: Client) -> None:
    order_id = await ordered(client)
    mine = (await client.ask(STORY, {"id": order_id}))["order"]
    (step,) = mine["story"]
    assert (step["rule"], step["trigger"], step["fromState"], step["by"]) == (1, "CREATE", None, "USER")
    assert (step["actor"], step["reason"], step["requestId"]) == (None, None, None)
    colleague = await staff_client(client, StaffRole.SUPPORT)
    (theirs,) = (await colleague.ask(STORY, {"id": order_id}))["order"]["story"]
    assert client.viewer is not None
    assert theirs["actor"] == f"user:{client.viewer.user_id}"
    assert theirs["requestId"]
    assert {**theirs, "actor": None, "reason": None, "requestId": None} == step
    assert (await colleague.ask("query ($id: ID!) { node(id: $id) { id } }", {"id": order_id}))["node"][
        "id"
    ] == order_id


async def test_a_stranger_learns_nothing_of_an_order(client: Client) -> None:
    order_id = await ordered(client)
    stranger = await client.another_person()
    assert (await stranger.ask(STORY, {"id": order_id}))["order"] is None


@pytest.mark.parametrize("decision", list(DECISIONS))
async def test_decisions_are_for_the_role_that_they_belong_to(client: Client, decision: str) -> None:
    order_id = await ordered(client)
    role = StaffRole.RISK if decision == "reviewOrder" else StaffRole.FINANCE
    others = [await staff_client(client, *set(StaffRole) - {role}), client, await client.another_person()]
    subject = order_id if "Order" in decision or "Reversal" in decision else global_id("Case", new_id())
    for nobody in others:
        answer = (await nobody.ask(DECISIONS[decision], {"id": subject}))["answer"]
        assert (answer["__typename"], answer["code"]) == ("Forbidden", "FORBIDDEN")
    assert (await RechargeOrder.get()).state is OrderState.PENDING_PAYMENT
    assert await LedgerTransaction.all().count() == await ManualCase.all().count() == await Review.all().count() == 0
    colleague = await staff_client(client, role)
    assert (await colleague.ask(DECISIONS[decision], {"id": subject}))["answer"]["code"] != "FORBIDDEN"


async def test_lists_are_for_staff_and_signing_in_is_not_enough(client: Client, nobody: Client) -> None:
    for query in LISTS:
        assert await client.code(query) == "FORBIDDEN"
        assert await nobody.code(query) == "UNAUTHENTICATED"
        (connection,) = (await (await staff_client(client, StaffRole.SUPPORT)).ask(query)).values()
        assert connection == {"edges": []}


async def test_a_token_is_worth_nothing_once_its_member_of_staff_has_left(client: Client) -> None:
    order_id = await ordered(client)
    colleague = await staff_client(client, *StaffRole)
    await StaffMember.all().update(left_at=utc_now())
    assert await colleague.code(STORY, {"id": order_id}) == "FORBIDDEN"
    for query in LISTS:
        assert await colleague.code(query) == "FORBIDDEN"


@pytest.mark.parametrize("changes", [{"client_id": "mini-program"}, {"scopes": frozenset({"recharge"})}])
async def test_a_customers_token_never_becomes_a_colleagues(client: Client, changes: dict[str, Any]) -> None:
    order_id = await ordered(client)
    member = await create_staff()
    claims: dict[str, Any] = {"client_id": STAFF_CLIENT_ID, "scopes": frozenset({STAFF_SCOPE}), **changes}
    token = authority(client.settings).issue(user_id=member.id, now=utc_now(), **claims)
    pretender = replace(client, headers={"Authorization": f"Bearer {token}"})
    assert (await pretender.ask(STORY, {"id": order_id}))["order"] is None
    for query in LISTS:
        assert await pretender.code(query) == "FORBIDDEN"


@pytest.mark.usefixtures("database")
async def test_names_are_taken_once() -> None:
    await staff.add(name="李", roles=frozenset({StaffRole.RISK}), customer_id=None, now=utc_now())
    with pytest.raises(staff.StaffNameTaken):
        await staff.add(name="李", roles=frozenset({StaffRole.RISK}), customer_id=None, now=utc_now())
    assert await staff.leave(name="李", now=utc_now())
    assert not await staff.leave(name="李", now=utc_now())
    assert isinstance((await StaffMember.get()).id, UUID)
