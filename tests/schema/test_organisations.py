"""Enterprise customers over GraphQL: from the founding to a recharge, and what everybody else is told."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from domain.organisations.rules import PERMISSIONS
from kernel.organisation_states import OrganisationRole
from kernel.states import OrderState
from models.events import Event
from models.orders import RechargeOrder
from models.organisations import OrganisationInvitation, OrganisationLogEntry, OrganisationMember
from tests.factories import PETROCHINA_NUMBER
from tests.organisations.support import some_code
from tests.sandbox_fixtures import Sandbox
from tests.schema.conftest import Client
from tests.schema.support import BIND, NODE, PAY, ask, bind_card, order, refused, work
from tests.schema.test_access import with_scopes
from tests.schema.test_mandates import MANDATES
from tests.schema.test_mandates import create_signed as create_mandate
from tests.schema.test_voice import fill_wallet, propose, say

ERROR = "... on UserError { code message } ... on OrganisationError { permission }"
MEMBER_FIELDS = "id name role state allCards limits { perDay { fen } }"
FOUND = f"""
mutation ($name: String! = "顺达运输", $code: String!, $own: String = "王老板") {{
  answer: createOrganisation(input: {{ name: $name, creditCode: $code, ownName: $own }}) {{
    __typename ... on OrganisationSuccess {{ organisation {{ id name creditCode state viewerPermissions }} }} {ERROR}
  }}
}}"""
INVITE = f"""
mutation ($id: ID!, $role: OrganisationRole! = DRIVER, $all: Boolean! = true, $day: Yuan, $phone: String) {{
  answer: inviteMember(input: {{
    organisationId: $id, name: "张三", role: $role, allCards: $all, limits: {{ perDay: $day }}, phone: $phone
  }}) {{
    __typename ... on InviteMemberSuccess {{ code invitation {{ id role state maskedPhone }} }} {ERROR}
  }}
}}"""
ACCEPT = f"""
mutation ($code: String!) {{
  answer: acceptInvitation(input: {{ code: $code }}) {{
    __typename
    ... on OrganisationSuccess {{ organisation {{ id viewerPermissions viewerMember {{ {MEMBER_FIELDS} }} }} }}
    {ERROR}
  }}
}}"""
WITHDRAW = f"""
mutation ($id: ID!) {{
  answer: withdrawInvitation(input: {{ invitationId: $id }}) {{
    __typename ... on WithdrawInvitationSuccess {{ invitation {{ state }} }} {ERROR}
  }}
}}"""
LEAVE = f"""
mutation ($id: ID!) {{
  answer: leaveOrganisation(input: {{ organisationId: $id }}) {{
    __typename
    ... on OrganisationSuccess {{ organisation {{ viewerPermissions members {{ edges {{ cursor }} }} }} }}
    {ERROR}
  }}
}}"""
CLOSE = LEAVE.replace("leaveOrganisation", "closeOrganisation")
RENAME = f"""
mutation ($id: ID!, $name: String! = "顺达物流") {{
  answer: renameOrganisation(input: {{ organisationId: $id, name: $name }}) {{
    __typename ... on OrganisationSuccess {{ organisation {{ name }} }} {ERROR}
  }}
}}"""
REMOVE = f"""
mutation ($id: ID!) {{
  answer: removeMember(input: {{ memberId: $id }}) {{
    __typename ... on MemberSuccess {{ member {{ {MEMBER_FIELDS} }} }} {ERROR}
  }}
}}"""
TRANSFER = REMOVE.replace("removeMember", "transferOwnership")
CHANGE_ROLE = f"""
mutation ($id: ID!, $role: OrganisationRole! = ADMIN) {{
  answer: changeMemberRole(input: {{ memberId: $id, role: $role }}) {{
    __typename ... on MemberSuccess {{ member {{ {MEMBER_FIELDS} }} }} {ERROR}
  }}
}}"""
SET_LIMITS = f"""
mutation ($id: ID!, $once: Yuan, $day: Yuan = "100.00") {{
  answer: setMemberLimits(input: {{ memberId: $id, limits: {{ perRecharge: $once, perDay: $day }} }}) {{
    __typename ... on MemberSuccess {{ member {{ {MEMBER_FIELDS} }} }} {ERROR}
  }}
}}"""
SHARE = f"""
mutation ($id: ID!, $cards: [ID!]! = [], $all: Boolean! = false) {{
  answer: shareCards(input: {{ memberId: $id, cardIds: $cards, allCards: $all }}) {{
    __typename ... on MemberSuccess {{ member {{ {MEMBER_FIELDS} cards {{ id }} }} }} {ERROR}
  }}
}}"""
ADD_CARD = f"""
mutation ($id: ID!, $card: ID!) {{
  answer: addOrganisationCard(input: {{ organisationId: $id, cardId: $card }}) {{
    __typename ... on OrganisationCardSuccess {{ card {{ id organisation {{ id name }} }} }} {ERROR}
  }}
}}"""
REMOVE_CARD = f"""
mutation ($card: ID!) {{
  answer: removeOrganisationCard(input: {{ cardId: $card }}) {{
    __typename ... on OrganisationCardSuccess {{ card {{ id organisation {{ id }} }} }} {ERROR}
  }}
}}"""
ORDER_WITHIN = """
mutation ($card: ID!, $amount: Yuan! = "100.00", $key: String! = "order-key-limit") {
  answer: createRecharge(input: { cardId: $card, amount: $amount, idempotencyKey: $key }) {
    __typename
    ... on CreateRechargeSuccess { order { id orderedBy organisation { name } } }
    ... on UserError { code message }
    ... on MemberLimitError { period limit { fen } left { fen } renewsAt }
  }
}"""
WHOLE = """
query ($id: ID!) {
  organisation(id: $id) {
    id name creditCode state viewerPermissions
    viewerMember { name role room { period limit { fen } left { fen } renewsAt } cards { id } }
    members { edges { node { id name role } } pageInfo { hasNextPage } }
    invitations { edges { node { id state } } }
    cards { edges { node { id organisation { name } } } }
    orders { edges { node { id orderedBy } } }
    statement { month amount { fen } lines { memberName orders amount { fen } price { fen } } }
    log(first: 50) { edges { node { action at actorName memberName changes { name before after } } } }
  }
}"""
MINE = "{ viewer { cards { edges { node { id organisation { name } } } } orders { edges { node { id } } } } }"
BELONGS = "{ viewer { organisations { id viewerMember { role } } } }"
ORDER_OF = (
    "query ($id: ID!) { order(id: $id) { id orderedBy organisation { name } card { id organisation { name } } } }"
)


@dataclass
class Firm:
    id: str
    card: str
    owner: Client


async def found(client: Client, seed: int = 0) -> Firm:
    answer = await ask(client, FOUND, code=some_code(seed))
    assert answer["__typename"] == "OrganisationSuccess", answer
    id, card = answer["organisation"]["id"], await bind_card(client)
    assert (await ask(client, ADD_CARD, id=id, card=card))["card"]["organisation"]["id"] == id
    return Firm(id, card, client)


async def join(firm: Firm, **offered: Any) -> tuple[Client, str]:
    """Return somebody who has accepted, and their id as a member."""
    invited = await ask(firm.owner, INVITE, id=firm.id, **offered)
    assert invited["__typename"] == "InviteMemberSuccess", invited
    person = await firm.owner.another_person()
    joined = await ask(person, ACCEPT, code=invited["code"])
    assert joined["__typename"] == "OrganisationSuccess", joined
    return person, joined["organisation"]["viewerMember"]["id"]


async def changes() -> list[int]:
    return [
        await kind.all().count() for kind in (OrganisationMember, OrganisationInvitation, OrganisationLogEntry, Event)
    ]


class TestMembers:
    async def test_the_schema_shows_what_the_viewer_may(self, client: Client) -> None:
        firm = await found(client)
        for role in OrganisationRole:
            person, _ = await join(firm, role=role.value)
            shown = (await person.ask(WHOLE, {"id": firm.id}))["organisation"]
            assert set(shown["viewerPermissions"]) == {each.value for each in PERMISSIONS[role]}
            assert [each["viewerMember"] for each in (await person.ask(BELONGS))["viewer"]["organisations"]] == [
                {"role": role.value}
            ]
            sees = {each.value for each in PERMISSIONS[role]}
            for field, permission in (
                ("members", "SEE_MEMBERS"), ("invitations", "MANAGE_MEMBERS"), ("statement", "SEE_STATEMENT"),
                ("log", "SEE_LOG"),
            ):  # fmt: skip
                assert (shown[field] is not None) == (permission in sees), (role, field)

    async def test_an_owner_sees_everything(self, client: Client) -> None:
        firm = await found(client)
        person, member = await join(firm, day="300.00")
        made = await order(person, firm.card, amount="100.00")
        shown = (await client.ask(WHOLE, {"id": firm.id}))["organisation"]
        assert [each["node"]["name"] for each in shown["members"]["edges"]] == ["张三", "王老板"]
        assert shown["orders"]["edges"] == [{"node": {"id": made["id"], "orderedBy": "张三"}}]
        assert shown["cards"]["edges"] == [{"node": {"id": firm.card, "organisation": {"name": "顺达运输"}}}]
        assert [each["node"]["action"] for each in shown["log"]["edges"]] == [
            "JOINED", "INVITED", "CARD_ADDED", "CREATED",
        ]  # fmt: skip
        (joined,) = [each["node"] for each in shown["log"]["edges"][:1]]
        assert (joined["actorName"], joined["memberName"]) == ("张三", "张三")
        assert {"name": "role", "before": None, "after": "DRIVER"} in joined["changes"]
        mine = (await person.ask(WHOLE, {"id": firm.id}))["organisation"]
        (room,) = mine["viewerMember"]["room"]
        assert (room["period"], room["limit"]["fen"], room["left"]["fen"]) == ("DAY", 30_000, 20_000)
        assert member in str(shown["members"])

    async def test_strangers_and_who_has_gone_find_nothing(self, client: Client) -> None:
        firm = await found(client)
        gone, member = await join(firm, role="ADMIN")
        assert (await ask(client, REMOVE, id=member))["member"]["state"] == "REMOVED"
        stranger = await client.another_person()
        before = await changes()
        for person in (gone, stranger):
            assert (await person.ask(WHOLE, {"id": firm.id}))["organisation"] is None
            assert (await person.ask(BELONGS))["viewer"]["organisations"] == []
            for id in (firm.id, firm.card):
                assert (await person.ask(NODE, {"id": id}))["node"] is None
            for mutation, variables, code in (
                (INVITE, {"id": firm.id}, "ORGANISATION_NOT_FOUND"),
                (RENAME, {"id": firm.id}, "ORGANISATION_NOT_FOUND"),
                (LEAVE, {"id": firm.id}, "ORGANISATION_NOT_FOUND"),
                (CLOSE, {"id": firm.id}, "ORGANISATION_NOT_FOUND"),
                (REMOVE, {"id": member}, "MEMBER_NOT_FOUND"),
                (CHANGE_ROLE, {"id": member}, "MEMBER_NOT_FOUND"),
                (SET_LIMITS, {"id": member}, "MEMBER_NOT_FOUND"),
                (SHARE, {"id": member}, "MEMBER_NOT_FOUND"),
                (TRANSFER, {"id": member}, "MEMBER_NOT_FOUND"),
                (ADD_CARD, {"id": firm.id, "card": firm.card}, "ORGANISATION_NOT_FOUND"),
                (REMOVE_CARD, {"card": firm.card}, "ORGANISATION_CARD_NOT_FOUND"),
                (ORDER_WITHIN, {"card": firm.card}, "CARD_NOT_FOUND"),
            ):
                assert await refused(person, mutation, **variables) == ("NotFound", code), mutation
        assert await changes() == before

    async def test_a_missing_right_is_named(self, client: Client) -> None:
        firm = await found(client)
        driver, member = await join(firm)
        before = await changes()
        for mutation, variables, permission in (
            (INVITE, {"id": firm.id}, "MANAGE_MEMBERS"),
            (RENAME, {"id": firm.id}, "MANAGE_ORGANISATION"),
            (CLOSE, {"id": firm.id}, "MANAGE_ORGANISATION"),
            (REMOVE, {"id": member}, "MANAGE_MEMBERS"),
            (CHANGE_ROLE, {"id": member}, "MANAGE_MEMBERS"),
            (SET_LIMITS, {"id": member}, "SET_LIMITS"),
            (SHARE, {"id": member, "all": True}, "MANAGE_CARDS"),
            (TRANSFER, {"id": member}, "MANAGE_ORGANISATION"),
            (REMOVE_CARD, {"card": firm.card}, "MANAGE_CARDS"),
        ):
            assert await refused(driver, mutation, **variables) == (
                "OrganisationError", "ORGANISATION_PERMISSION_MISSING",
            )  # fmt: skip
            assert (await ask(driver, mutation, **variables))["permission"] == permission
        assert await changes() == before

    async def test_what_is_wrong_is_told(self, client: Client) -> None:
        firm = await found(client)
        other = await client.another_person()
        person, member = await join(firm)
        before = await changes()
        for asking, mutation, variables, answer in (
            (other, FOUND, {"code": some_code()}, ("OrganisationError", "CREDIT_CODE_TAKEN")),
            (other, FOUND, {"code": "9" * 18}, ("OrganisationError", "CREDIT_CODE_INVALID")),
            (other, FOUND, {"code": some_code(3), "name": " "}, ("OrganisationError", "ORGANISATION_NAME_INVALID")),
            (other, FOUND, {"code": some_code(3), "own": "\n"}, ("OrganisationError", "ORGANISATION_NAME_INVALID")),
            (other, ACCEPT, {"code": "nonsense"}, ("OrganisationError", "INVITATION_INVALID")),
            (client, LEAVE, {"id": firm.id}, ("OrganisationError", "LAST_OWNER")),
            (client, INVITE, {"id": firm.id, "phone": "110"}, ("PhoneError", "PHONE_INVALID")),
            (client, INVITE, {"id": firm.id, "day": "0"}, ("InvalidAmount", "AMOUNT_NOT_POSITIVE")),
            (client, SET_LIMITS, {"id": member, "day": "10000000.01"}, ("OrganisationError", "MEMBER_LIMIT_INVALID")),
            (client, SET_LIMITS, {"id": member, "day": "0.001"}, ("InvalidAmount", "AMOUNT_FRACTION_OF_FEN")),
            (client, SHARE, {"id": member, "cards": ["nothing"]}, ("NotFound", "ORGANISATION_CARD_NOT_FOUND")),
            (client, WITHDRAW, {"id": "nothing"}, ("NotFound", "INVITATION_NOT_FOUND")),
            (client, BIND, {"number": "1000111100000000001"}, ("OrganisationError", "CARD_OWNED_BY_ORGANISATION")),
        ):
            assert await refused(asking, mutation, **variables) == answer, variables
        assert await changes() == before
        assert (await person.ask(BELONGS))["viewer"]["organisations"] != []

    async def test_the_code_of_an_invitation_is_shown_once(self, client: Client) -> None:
        firm = await found(client)
        invited = await ask(client, INVITE, id=firm.id, phone="13800138000")
        assert invited["invitation"]["maskedPhone"] == "138****8000"
        listed = await client.post(WHOLE, {"id": firm.id})
        assert invited["code"] not in listed.text
        assert "13800138000" not in listed.text
        taken = await ask(client, WITHDRAW, id=invited["invitation"]["id"])
        assert taken["invitation"]["state"] == "WITHDRAWN"

    async def test_ownership_and_closing(self, client: Client) -> None:
        firm = await found(client)
        person, member = await join(firm)
        assert (await ask(client, TRANSFER, id=member))["member"]["role"] == "OWNER"
        assert (await ask(client, RENAME, id=firm.id))["permission"] == "MANAGE_ORGANISATION"
        assert (await ask(person, RENAME, id=firm.id))["organisation"]["name"] == "顺达物流"
        left = await ask(client, LEAVE, id=firm.id)
        assert left["organisation"] == {"viewerPermissions": [], "members": None}
        closed = await ask(person, CLOSE, id=firm.id)
        assert closed["organisation"] == {"viewerPermissions": [], "members": None}
        mine = (await client.ask(MINE))["viewer"]["cards"]["edges"]
        assert mine == [{"node": {"id": firm.card, "organisation": None}}]

    @pytest.mark.parametrize("scopes", [("recharge", "cards"), ("recharge:voice",)])
    async def test_a_token_that_is_not_for_it_manages_nothing(self, client: Client, scopes: tuple[str, ...]) -> None:
        firm = await found(client)
        limited = with_scopes(client, *scopes)
        for query, variables in ((WHOLE, {"id": firm.id}), (RENAME, {"id": firm.id})):
            (error,) = (await limited.post(query, variables)).json()["errors"]
            assert error["extensions"]["code"] == "FORBIDDEN"


class TestRecharging:
    async def test_shared_cards_are_recharged_within_the_limits(self, client: Client, sandbox: Sandbox) -> None:
        firm = await found(client)
        person, member = await join(firm, all=False, day="150.00")
        assert (await person.ask(MINE))["viewer"]["cards"]["edges"] == []
        assert await refused(person, ORDER_WITHIN, card=firm.card) == ("NotFound", "CARD_NOT_FOUND")
        shared = await ask(client, SHARE, id=member, cards=[firm.card])
        assert [each["id"] for each in shared["member"]["cards"]] == [firm.card]
        made = (await ask(person, ORDER_WITHIN, card=firm.card))["order"]
        assert (made["orderedBy"], made["organisation"]) == ("张三", {"name": "顺达运输"})
        refusal = await ask(person, ORDER_WITHIN, card=firm.card, key="order-key-more")
        assert (refusal["__typename"], refusal["period"]) == ("MemberLimitError", "DAY")
        assert (refusal["limit"]["fen"], refusal["left"]["fen"]) == (15_000, 5_000)
        assert refusal["renewsAt"].endswith("T16:00:00.000Z")
        assert await refused(person, ORDER_WITHIN, card=firm.card, key="order-key-more") == (
            "MemberLimitError", "MEMBER_LIMIT_EXCEEDED",
        )  # fmt: skip
        assert await RechargeOrder.all().count() == 1
        await fill_wallet(person, sandbox)
        paid = await ask(person, PAY, order=made["id"], key="pay-key-1", method="WALLET")
        assert paid["__typename"] == "PayRechargeSuccess", paid
        while (await RechargeOrder.get()).state is not OrderState.SUCCEEDED:
            await work(person)
            await sandbox.wait_until(lambda: True)
        statement = (await client.ask(WHOLE, {"id": firm.id}))["organisation"]["statement"]
        assert statement["lines"] == [
            {"memberName": "张三", "orders": 1, "amount": {"fen": 10_000}, "price": {"fen": 10_000}}
        ]

    async def test_with_the_membership_go_cards_orders_and_mandates(self, client: Client, sandbox: Sandbox) -> None:
        firm = await found(client)
        person, member = await join(firm)
        await create_mandate(person, sandbox, firm.card)
        made = await order(person, firm.card, amount="100.00")
        shown = (await person.ask(ORDER_OF, {"id": made["id"]}))["order"]
        assert (shown["orderedBy"], shown["card"]["organisation"]) == ("张三", {"name": "顺达运输"})
        await ask(client, REMOVE, id=member)
        assert (await person.ask(ORDER_OF, {"id": made["id"]}))["order"] is None
        assert (await person.ask(NODE, {"id": made["id"]}))["node"] is None
        mine = (await person.ask(MINE))["viewer"]
        assert (mine["cards"]["edges"], mine["orders"]["edges"]) == ([], [])
        (mandate,) = (await person.ask(MANDATES))["viewer"]["mandates"]["edges"]
        assert mandate["node"]["cards"] == []
        for method in ("WECHAT_PAY", "MANDATE", "WALLET"):
            answer = await refused(person, PAY, order=made["id"], key=f"pay-key-{method}", method=method)
            assert answer == ("NotFound", "ORDER_NOT_FOUND")
        assert (await client.ask(ORDER_OF, {"id": made["id"]}))["order"]["orderedBy"] == "张三"

    async def test_a_recharge_by_voice_keeps_to_the_limit(self, client: Client, sandbox: Sandbox) -> None:
        firm = await found(client)
        person, member = await join(firm, day="600.00")
        await fill_wallet(person, sandbox)
        token = await propose(person)
        # The limit sinks between the proposal and the yes.
        await ask(client, SET_LIMITS, id=member, day="400.00")
        answer = await say(person, "确认", token=token)
        assert (answer["__typename"], answer["code"]) == ("MemberLimitError", "MEMBER_LIMIT_EXCEEDED")
        assert answer["spoken"]
        answer = await say(person, "给我的油卡充五百", session="session-2")
        assert (answer["__typename"], answer["code"]) == ("MemberLimitError", "MEMBER_LIMIT_EXCEEDED")
        assert await RechargeOrder.all().count() == 0
        token = str((await say(person, "给我的油卡充四百", session="session-3"))["proposal"]["confirmToken"])
        done = await say(person, "确认", session="session-3", token=token)
        assert done["order"]["amount"]["fen"] == 40_000
        assert (await RechargeOrder.get()).member_id is not None

    async def test_cards_of_ones_own_and_shared_ones_stand_side_by_side(self, client: Client) -> None:
        firm = await found(client)
        person, _ = await join(firm)
        own = await bind_card(person, PETROCHINA_NUMBER)
        cards = {
            each["node"]["id"]: each["node"]["organisation"]
            for each in (await person.ask(MINE))["viewer"]["cards"]["edges"]
        }
        assert cards == {own: None, firm.card: {"name": "顺达运输"}}
        assert await refused(client, ADD_CARD, id=firm.id, card=own) == ("NotFound", "ORGANISATION_CARD_NOT_FOUND")
        back = await ask(client, REMOVE_CARD, card=firm.card)
        assert back["card"]["organisation"] is None
        assert [each["node"]["id"] for each in (await person.ask(MINE))["viewer"]["cards"]["edges"]] == [own]
