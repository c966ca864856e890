"""The approval matrix over GraphQL: every role × every action, own, stale, replayed: refused, and nothing changed.

The table of who may do what stands here by itself, so that a directive or a resolver that was loosened fails.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from domain.access import totp
from domain.funds import operations, payees
from domain.identity.staff import STAFF_CLIENT_ID, STAFF_SCOPE, Staff
from domain.identity.tokens import authority
from kernel import keys
from kernel.clock import utc_now
from kernel.fund_states import PayeeKind, TransferState
from kernel.ids import new_id
from kernel.states import ErrorKind, StaffRole
from models.access import StaffCredential
from models.funds import FundPayee, FundStep, FundTransfer, InsuranceClaim, InsurancePolicy
from models.identity import StaffMember
from models.reviews import ErrorEntry
from schema.types.relay import global_id
from tests.factories import create_staff
from tests.funds.support import LARGE_YUAN, POLICY, fill, trace
from tests.schema.conftest import Client

MAKER, DIRECTOR = frozenset({StaffRole.FINANCE}), frozenset({StaffRole.FINANCE_DIRECTOR})
EITHER = MAKER | DIRECTOR
READERS = EITHER | {StaffRole.AUDITOR}
REST = "{ __typename ... on UserError { code message } }"


@dataclass(frozen=True)
class Action:
    """A mutation, who may do it, the input beside what every one has, and whether a code signs it."""

    name: str
    roles: frozenset[StaffRole]
    of: str
    signed: bool = False
    more: dict[str, Any] = field(default_factory=dict)

    @property
    def document(self) -> str:
        kind = {
            "checkTransfer": "DecideTransferInput",
            "approveTransferAsDirector": "DecideTransferInput",
            "rejectTransfer": "DecideTransferInput",
            "approvePayee": "DecidePayeeInput",
            "rejectPayee": "DecidePayeeInput",
            "rejectInsuranceClaim": "EndInsuranceClaimInput",
            "withdrawInsuranceClaim": "EndInsuranceClaimInput",
        }.get(self.name, f"{self.name[0].upper()}{self.name[1:]}Input")
        return f"mutation ($input: {kind}!) {{ answer: {self.name}(input: $input) {REST} }}"


NEW_PAYEE = {
    "kind": "COMPANY",
    "party": "youka",
    "name": "油卡",
    "bankCode": "102100099996",
    "accountNumber": "6222000011112222",
}
POLICY_INPUT = {
    "insurer": "中国人保",
    "number": "PICC-2",
    "cover": "1000.00",
    "deductible": "0",
    "premium": "1.00",
    "startsOn": "2026-01-01",
    "endsOn": "2026-12-31",
}
ACTIONS = (
    Action("proposeWithdrawal", MAKER, "", more={"amount": "1.00", "idempotencyKey": "matrix-key-1"}),
    Action("proposeReserveRelease", MAKER, "", more={"amount": "1.00", "idempotencyKey": "matrix-key-2"}),
    Action("amendWithdrawal", MAKER, "transfer", more={"amount": "2.00"}),
    Action("withdrawTransfer", MAKER, "transfer"),
    Action("checkTransfer", MAKER, "transfer", signed=True),
    Action("approveTransferAsDirector", DIRECTOR, "checked", signed=True),
    Action("rejectTransfer", EITHER, "transfer", signed=True),
    Action("proposePayee", MAKER, "", more=NEW_PAYEE),
    Action("approvePayee", EITHER, "payee", signed=True),
    Action("rejectPayee", EITHER, "payee", signed=True),
    Action("revokePayee", EITHER, "payee"),
    Action("registerInsurancePolicy", MAKER, "", more=POLICY_INPUT),
    Action("fileInsuranceClaim", MAKER, "", more={"amount": "1.00"}),
    Action("acceptInsuranceClaim", MAKER, "claim", more={"amount": "1.00"}),
    Action("payInsuranceClaim", EITHER, "granted", signed=True, more={"bankReference": "PICC0001"}),
    Action("rejectInsuranceClaim", MAKER, "claim"),
    Action("withdrawInsuranceClaim", MAKER, "claim"),
)
SIGNED = [each for each in ACTIONS if each.signed]
# Actions by what they are done to, which is another thing after each of them.
OBJECTS = {of: [each for each in ACTIONS if each.of == of] for of in sorted({each.of for each in ACTIONS} - {""})}
# What names a version that was read.
VERSIONED = [each for each in ACTIONS if each.of]
QUERIES = (
    "{ answer: escrowPosition { operating { fen } keepsTheReserve forecast { fen } lastSweep { id } } }",
    "{ answer: transfers { edges { node { id amount { fen } payee { account } story { step signed } } } } }",
    "{ answer: payees { edges { node { id account story { step } } } } }",
    "{ answer: settlements { edges { node { id gross { fen } } } } }",
    "{ answer: sweeps { edges { node { id amount { fen } } } } }",
    "{ answer: insurancePolicies { edges { node { id cover { fen } } } } }",
    "{ answer: insuranceClaims { edges { node { id incidentId story { step } } } } }",
)


@dataclass
class Person:
    """A member of staff who asks over GraphQL, and their authenticator."""

    client: Client
    staff: Staff
    secret: str
    steps: int = 0

    @classmethod
    async def of(cls, client: Client, *roles: StaffRole, member: Staff | None = None) -> Person:
        staff, secret = member or await create_staff(*roles), totp.new_secret()
        sealed = keys.sealer(client.settings).seal(secret, owner=f"totp:{staff.id}")
        await StaffCredential.filter(staff_id=staff.id).delete()
        await StaffCredential.create(
            id=new_id(), staff_id=staff.id, password_hash="", totp_sealed=sealed, totp_step=0, changed_at=utc_now()
        )
        token = authority(client.settings).issue(
            user_id=staff.id, client_id=STAFF_CLIENT_ID, scopes=frozenset({STAFF_SCOPE}), now=utc_now()
        )
        headers = {"Authorization": f"Bearer {token}", "Accept-Language": "en"}
        return cls(replace(client, viewer=None, headers=headers), staff, secret)

    def code(self) -> str:
        """Return a code that is good now, and for half a minute more; one person has two of them in half a minute."""
        self.steps += 1
        return totp.code_at(self.secret, totp.step_of(utc_now()) - 1 + self.steps)

    async def do(self, action: Action, place: Place, **changes: Any) -> Any:
        given = {**place.input_of(action), **changes}
        if action.signed and "secondFactor" not in given:
            given["secondFactor"] = self.code()
        return (await self.client.ask(action.document, {"input": given}))["answer"]


@dataclass
class Place:
    """Something in every state that an action is for, made by one maker and checked by one checker."""

    client: Client
    maker: Person
    checker: Person
    active: FundPayee
    ids: dict[str, tuple[str, UUID, int]]
    policy: InsurancePolicy
    incident: UUID

    def input_of(self, action: Action) -> dict[str, Any]:
        given: dict[str, Any] = {"reason": "a reason", **action.more}
        if action.of:
            kind, key, version = self.ids[action.of]
            argument = {"Transfer": "transferId", "Payee": "payeeId", "InsuranceClaim": "claimId"}[kind]
            given |= {argument: global_id(kind, key), "version": version}
        if action.name in ("proposeWithdrawal", "amendWithdrawal"):
            given["payeeId"] = global_id("Payee", self.active.id)
        if action.name == "fileInsuranceClaim":
            given |= {
                "policyId": global_id("InsurancePolicy", self.policy.id),
                "incidentId": global_id("LedgerError", self.incident),
            }
        return given


async def payee(maker: Person, number: str) -> FundPayee:
    sealer = keys.sealer(maker.client.settings)
    return await payees.propose(
        staff=maker.staff, kind=PayeeKind.ISSUER, party="sinopec", name="名",
        bank_code="102100099996", account_number=number, reason="r", sealer=sealer, now=utc_now(),
    )  # fmt: skip


async def error_entry() -> UUID:
    row = await ErrorEntry.create(
        id=new_id(), key=new_id().hex, kind=ErrorKind.RECHARGE_REVERSED, user_id=new_id(), amount_fen=1_000_00,
        detail="lost", occurred_at=utc_now(),
    )  # fmt: skip
    return row.id


async def claim_of(policy: InsurancePolicy, maker: Person, checker: Person | None) -> InsuranceClaim:
    """Return a claim, and where somebody is named, one of which the insurer grants half to them."""
    return await InsuranceClaim.create(
        id=new_id(), policy_id=policy.id, incident_kind="ERROR_ENTRY", incident_id=await error_entry(),
        amount_fen=100, reason="r", filed_by=maker.staff.id, filed_at=utc_now(),
        state="ACCEPTED" if checker else "FILED", version=2 if checker else 1,
        accepted_fen=50 if checker else None, accepted_by=checker.staff.id if checker else None,
    )  # fmt: skip


@pytest.fixture
async def place(client: Client) -> Place:
    await fill(500_000_00, 100_000_000_00)
    maker, checker = await Person.of(client, StaffRole.FINANCE), await Person.of(client, StaffRole.FINANCE)
    waiting = await payee(maker, "6222000000000001")
    active = await payee(maker, "6222000000000002")
    place = Place(client, maker, checker, active, {}, await _policy(maker), await error_entry())
    place.ids["payee"] = ("Payee", waiting.id, 1)
    place.ids["own payee"] = ("Payee", active.id, 1)
    approve = next(each for each in ACTIONS if each.name == "approvePayee")
    answer = await checker.do(approve, place, payeeId=global_id("Payee", active.id))
    assert answer["__typename"] == "PayeeSuccess", answer
    checker.steps = 0
    await StaffCredential.filter(staff_id=checker.staff.id).update(totp_step=0)
    place.ids["transfer"] = ("Transfer", (await _transfer(maker, active)).id, 1)
    large = await _transfer(maker, active)
    await FundTransfer.filter(id=large.id).update(
        state=TransferState.CHECKED, version=2, checked_by=checker.staff.id, checked_at=utc_now()
    )
    place.ids["checked"] = ("Transfer", large.id, 2)
    place.ids["claim"] = ("InsuranceClaim", (await claim_of(place.policy, maker, None)).id, 1)
    place.ids["granted"] = ("InsuranceClaim", (await claim_of(place.policy, maker, checker)).id, 2)
    return place


async def _transfer(maker: Person, to: FundPayee) -> FundTransfer:
    return await operations.propose_withdrawal(
        staff=maker.staff, payee_id=to.id, yuan=Decimal(LARGE_YUAN), reason="r", key=new_id().hex, policy=POLICY,
        now=utc_now(),
    )  # fmt: skip


async def _policy(maker: Person) -> InsurancePolicy:
    today = utc_now().date()
    return await InsurancePolicy.create(
        id=new_id(), insurer="中国人保", number="PICC-1", cover_fen=1_000_00, deductible_fen=0, premium_fen=1,
        starts_on=today - timedelta(days=2), ends_on=today + timedelta(days=2), registered_by=maker.staff.id,
        created_at=utc_now(),
    )  # fmt: skip


async def test_every_role_and_every_action(place: Place, nobody: Client) -> None:
    """Nobody but the roles of the table does anything; a code of theirs is not even looked at."""
    before = await trace()
    for role in StaffRole:
        person = await Person.of(place.client, role)
        for action in ACTIONS:
            if role in action.roles:
                continue
            answer = await person.do(action, place, **({"secondFactor": "000000"} if action.signed else {}))
            assert (answer["__typename"], answer["code"]) == ("Forbidden", "FORBIDDEN"), f"{role} {action.name}"
        for document in QUERIES:
            if role in READERS:
                assert (await person.client.ask(document))["answer"], f"{role} {document}"
            else:
                assert await person.client.code(document) == "FORBIDDEN", f"{role} {document}"
    for action in ACTIONS:
        given = {**place.input_of(action), **({"secondFactor": "000000"} if action.signed else {})}
        answer = (await place.client.ask(action.document, {"input": given}))["answer"]
        assert answer["code"] == "FORBIDDEN"
        assert await nobody.code(action.document, {"input": given}) == "UNAUTHENTICATED"
    assert await trace() == before


@pytest.mark.parametrize("of", sorted({action.of for action in ACTIONS}))
async def test_whoever_may_can(place: Place, of: str) -> None:
    """Otherwise their refusals would prove nothing. What is made anew is made beside each other."""
    actions = [action for action in ACTIONS if action.of == of]
    for action in actions if not of else actions[:1]:
        await _does(place, action)


@pytest.mark.parametrize("action", [action for of in OBJECTS for action in OBJECTS[of][1:]], ids=lambda one: one.name)
async def test_whoever_may_can_do_the_other_thing(place: Place, action: Action) -> None:
    await _does(place, action)


async def _does(place: Place, action: Action) -> None:
    own = action.name in ("amendWithdrawal", "withdrawTransfer")
    person = place.maker if own else await Person.of(place.client, min(action.roles))
    answer = await person.do(action, place)
    assert answer["__typename"].endswith("Success"), answer


async def test_ones_own_is_not_approved_in_any_role(place: Place) -> None:
    for hand in (place.maker, place.checker):
        await _give_every_role(hand)
    before = await trace()
    for action in SIGNED:
        both = action.name in ("approveTransferAsDirector", "payInsuranceClaim")
        for hand in (place.maker, place.checker) if both else (place.maker,):
            hand.steps = 0
            answer = await hand.do(action, place)
            assert (answer["__typename"], answer["code"]) == ("Forbidden", "SECOND_PERSON_NEEDED"), action.name
    assert await trace() == before


async def test_what_was_not_read_as_it_is_is_refused(place: Place) -> None:
    before = await trace()
    for action in VERSIONED:
        own = action.name in ("amendWithdrawal", "withdrawTransfer")
        person = place.maker if own else await Person.of(place.client, *StaffRole)
        for off in (-1, 1):
            answer = await person.do(action, place, version=place.ids[action.of][2] + off)
            assert (answer["__typename"], answer["code"]) == ("StaleError", "APPROVAL_STALE"), action.name
    assert await trace() == before


@pytest.mark.parametrize("action", SIGNED, ids=lambda action: action.name)
async def test_a_replay_and_a_replayed_code_change_nothing(place: Place, action: Action) -> None:
    person = await Person.of(place.client, *StaffRole)
    code = person.code()
    done = await person.do(action, place, secondFactor=code)
    assert done["__typename"].endswith("Success"), done
    before, steps = await trace(), await FundStep.filter(staff_id=person.staff.id).count()
    assert steps == 1
    again = await person.do(action, place, secondFactor=code)
    assert (again["__typename"], again["code"]) == ("SecondFactorError", "SECOND_FACTOR_REFUSED")
    replayed = await person.do(action, place)
    assert replayed["code"] == "APPROVAL_STALE"
    for other in SIGNED:
        if other is not action:
            answer = await person.do(other, place, secondFactor=code)
            assert answer["__typename"] == "SecondFactorError", f"{other.name}: {answer}"
            break
    assert await trace() == before


async def test_a_wrong_code_signs_nothing(place: Place) -> None:
    before = await trace()
    for code in ("", "000000", "１２３４５６", "1" * 500, "abcdef"):
        person = await Person.of(place.client, *StaffRole)
        answer = await person.do(SIGNED[0], place, secondFactor=code)
        assert answer["__typename"] == "SecondFactorError", code
    assert await trace() == before


async def test_guessing_ends_soon(place: Place) -> None:
    person = await Person.of(place.client, *StaffRole)
    before = await trace()
    for _ in range(place.client.settings.staff_attempts_max):
        assert (await person.do(SIGNED[0], place, secondFactor="000000"))["code"] == "SECOND_FACTOR_REFUSED"
    assert (await person.do(SIGNED[0], place))["code"] == "TOO_MANY_ATTEMPTS"
    assert await trace() == before


async def test_whoever_has_no_authenticator_signs_nothing(place: Place) -> None:
    person = await Person.of(place.client, *StaffRole)
    await StaffCredential.filter(staff_id=person.staff.id).delete()
    assert (await person.do(SIGNED[0], place))["code"] == "SECOND_FACTOR_REFUSED"


@pytest.mark.parametrize("role", sorted(READERS))
async def test_what_finance_and_auditors_read(place: Place, role: StaffRole) -> None:
    """Every list has what there is, an account's number is not in it, and a page ends where it says."""
    person = await Person.of(place.client, role)
    found = [(await person.client.ask(document))["answer"] for document in QUERIES]
    assert found[0]["operating"] == {"fen": 500_000_00 - 2 * 200_000_00}
    assert [len(each["edges"]) for each in found[1:]] == [2, 2, 0, 0, 1, 2]
    assert "6222000000000002" not in repr(found)
    assert found[1]["edges"][0]["node"]["payee"] == {"account": "**** 0002"}
    page = """query ($after: String) { answer: transfers(first: 1, after: $after) {
      edges { node { id } } pageInfo { hasNextPage endCursor }
    } }"""
    one = (await person.client.ask(page))["answer"]
    two = (await person.client.ask(page, {"after": one["pageInfo"]["endCursor"]}))["answer"]
    assert (one["pageInfo"]["hasNextPage"], two["pageInfo"]["hasNextPage"]) == (True, False)
    assert one["edges"] != two["edges"]
    mine = "query ($id: ID) { answer: insuranceClaims(policyId: $id, states: [FILED]) { edges { node { state } } } }"
    assert len((await person.client.ask(mine))["answer"]["edges"]) == 1
    assert (await person.client.ask(mine, {"id": "nonsense"}))["answer"]["edges"] == []


async def test_a_refusal_is_whole_in_both_languages(place: Place) -> None:
    person = await Person.of(place.client, StaffRole.FINANCE)
    chinese = Person(
        replace(person.client, headers={**person.client.headers, "Accept-Language": "zh-CN"}), person.staff, ""
    )
    propose = ACTIONS[0]
    for asking, text in ((person, "100,000.00"), (chinese, "100,000.00")):
        answer = await asking.do(propose, place, amount="500000.00")
        assert answer["__typename"] == "EscrowError"
        assert text in answer["message"]


async def _give_every_role(person: Person) -> None:
    await StaffMember.filter(id=person.staff.id).update(roles=sorted(StaffRole))
