"""What finance staff see of bills and decide about differences over GraphQL, and that nobody else does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from domain.ledger.queries import balance
from kernel.ids import new_id
from kernel.states import DifferenceState, StaffRole
from models.ledger import LedgerTransaction
from models.reconciliation import ReconciliationDifference, ReconciliationRun, ReconciliationStep
from schema.types.relay import global_id
from tests.reconciliation.support import DAY, SOURCE, FakeChannel, run, stranger
from tests.schema.conftest import Client
from tests.schema.test_approval_matrix import Person
from tests.schema.test_staff import staff_client

FINANCE = (StaffRole.FINANCE, StaffRole.FINANCE_DIRECTOR)
READERS = {*FINANCE, StaffRole.AUDITOR}
RUNS = """
query ($source: String) {
  answer: reconciliationRuns(source: $source) {
    edges { node { id source businessDay state matched counts { differenceClass count } billTotal { fen } finishedAt } }
  }
}"""
DIFFERENCES = """
query ($day: Date, $states: [DifferenceState!]) {
  answer: reconciliationDifferences(day: $day, states: $states) {
    edges { node {
      id kind key differenceClass state reason amount { fen } bookAmount { fen } billAmount { fen } version
      story { step fromState toState actor reason }
    } }
  }
}"""
AGEING = """
{
  answer: suspenseAgeing {
    account balance { fen } unexplained { fen } buckets { fromDays toDays count amount { fen } }
  }
}
"""
NODE = """
query ($id: ID!) {
  node(id: $id) { __typename id ... on Difference { key inSuspense } ... on ReconciliationRun { source } }
}"""
PROPOSE = """
mutation ($id: ID!, $version: Int! = 1, $reason: String! = "seen") {
  answer: proposeDifferenceResolution(
    input: { differenceId: $id, version: $version, outcome: REFUND, reason: $reason }
  ) { __typename ... on DifferenceSuccess { difference { state version outcome } } ... on UserError { code message } }
}"""
APPROVE = """
mutation ($id: ID!, $version: Int! = 2, $reason: String! = "checked", $code: String) {
  answer: approveDifferenceResolution(
    input: { differenceId: $id, version: $version, reason: $reason, secondFactor: $code }
  ) {
    __typename ... on DifferenceSuccess { difference { state version outcome } } ... on UserError { code message }
  }
}"""


@pytest.fixture
async def difference(client: Client, tmp_path: Path) -> str:
    """The id of a difference of ¥123 that nobody knows of."""
    await run(FakeChannel(bills={DAY: [stranger(1)]}), tmp_path)
    return global_id("Difference", (await ReconciliationDifference.get()).id)


async def answer(client: Client, document: str, **variables: Any) -> Any:
    return (await client.ask(document, variables))["answer"]


async def trace() -> tuple[object, ...]:
    row = await ReconciliationDifference.get()
    return row.state, row.version, await ReconciliationStep.all().count(), await LedgerTransaction.all().count()


async def test_a_difference_from_its_run_to_its_end(client: Client, difference: str) -> None:
    maker, second = await staff_client(client, FINANCE[0]), await Person.of(client, FINANCE[1])
    checker = second.client
    (edge,) = (await answer(maker, RUNS, source=SOURCE))["edges"]
    assert edge["node"]["state"] == "DONE"
    assert edge["node"]["businessDay"] == DAY.isoformat()
    assert edge["node"]["counts"] == [{"differenceClass": "LONG", "count": 1}]
    assert (await answer(maker, RUNS, source="alipay:2088"))["edges"] == []
    (edge,) = (await answer(maker, DIFFERENCES, day=DAY.isoformat()))["edges"]
    node = edge["node"]
    assert (node["id"], node["amount"], node["bookAmount"]) == (difference, {"fen": 12_300}, None)
    (age,) = await answer(maker, AGEING)
    assert (age["account"], age["balance"], age["unexplained"]) == (
        "suspense:wechat_pay",
        {"fen": -12_300},
        {"fen": 0},
    )
    assert [(each["fromDays"], each["toDays"], each["count"]) for each in age["buckets"]] == [
        (0, 1, 1),
        (2, 7, 0),
        (8, 30, 0),
        (31, None, 0),
    ]
    assert (await answer(maker, PROPOSE, id=difference))["difference"]["state"] == "PROPOSED"
    assert (await answer(checker, APPROVE, id=difference))["code"] == "SECOND_FACTOR_REFUSED"
    done = await answer(checker, APPROVE, id=difference, code=second.code())
    assert done["difference"] == {"state": "RESOLVED", "version": 3, "outcome": "REFUND"}
    assert (await answer(maker, DIFFERENCES))["edges"] == []
    (edge,) = (await answer(maker, DIFFERENCES, states=["RESOLVED"]))["edges"]
    assert [step["step"] for step in edge["node"]["story"]] == ["FOUND", "PROPOSED", "APPROVED"]
    assert [step["reason"] for step in edge["node"]["story"]] == ["", "seen", "checked"]
    assert edge["node"]["reason"] == "seen"
    assert await answer(maker, AGEING) == []
    assert (await balance("refunds_payable")).fen == -12_300


async def test_everybody_else_is_refused_and_nothing_changes(client: Client, nobody: Client, difference: str) -> None:
    others = [*set(StaffRole) - set(FINANCE)]
    before = await trace()
    for role in (None, *others):
        stranger_ = await staff_client(client, role) if role else client
        for document in (RUNS, DIFFERENCES, AGEING):
            if role in READERS:
                assert len(str(await answer(stranger_, document))) > len("[]")
            else:
                assert await stranger_.code(document) == "FORBIDDEN"
        for document in (PROPOSE, APPROVE):
            assert (await answer(stranger_, document, id=difference))["code"] == "FORBIDDEN"
    for document in (RUNS, DIFFERENCES, AGEING):
        assert await nobody.code(document) == "UNAUTHENTICATED"
    assert await trace() == before


async def test_runs_and_differences_are_nodes_for_whoever_sees_the_books(client: Client, difference: str) -> None:
    run_id = global_id("ReconciliationRun", (await ReconciliationRun.get()).id)
    for role in READERS:
        finance = await staff_client(client, role)
        found = (await finance.ask(NODE, {"id": difference}))["node"]
        assert found == {
            "__typename": "Difference",
            "id": difference,
            "key": stranger(1).out_trade_no,
            "inSuspense": True,
        }
        found = (await finance.ask(NODE, {"id": run_id}))["node"]
        assert found == {"__typename": "ReconciliationRun", "id": run_id, "source": SOURCE}
        for kind in ("Difference", "ReconciliationRun"):
            assert (await finance.ask(NODE, {"id": global_id(kind, new_id())}))["node"] is None
    others = [await staff_client(client, role) for role in set(StaffRole) - READERS]
    for stranger_ in (client, *others):
        for id in (difference, run_id):
            assert (await stranger_.ask(NODE, {"id": id}))["node"] is None


async def test_refusals_are_typed(client: Client, difference: str) -> None:
    first, second = await Person.of(client, *FINANCE), await Person.of(client, *FINANCE)
    maker, checker = first.client, second.client
    unknown = global_id("Difference", new_id())
    assert (await answer(maker, PROPOSE, id=unknown))["code"] == "DIFFERENCE_NOT_FOUND"
    assert (await answer(maker, PROPOSE, id=difference, version=7))["code"] == "DIFFERENCE_CHANGED"
    assert (await answer(maker, PROPOSE, id=difference, reason=" "))["__typename"] == "DecisionError"
    assert (await answer(maker, PROPOSE, id=difference))["__typename"] == "DifferenceSuccess"
    before = await trace()
    assert (await answer(maker, APPROVE, id=difference, code=first.code()))["code"] == "SECOND_PERSON_NEEDED"
    assert (await answer(checker, APPROVE, id=difference, version=1, code=second.code()))[
        "code"
    ] == "DIFFERENCE_CHANGED"
    assert (await answer(checker, APPROVE, id=difference, reason=" ", code=second.code()))["code"] == "REASON_MISSING"
    assert await trace() == before
    assert before[0] is DifferenceState.PROPOSED


async def test_a_code_signs_one_approval_and_a_wrong_one_none(client: Client, difference: str) -> None:
    maker, checker = await Person.of(client, *FINANCE), await Person.of(client, *FINANCE)
    await answer(maker.client, PROPOSE, id=difference)
    before = await trace()
    for wrong in (None, "", "000000", "1" * 500):
        refused = await answer((await Person.of(client, *FINANCE)).client, APPROVE, id=difference, code=wrong)
        assert (refused["__typename"], refused["code"]) == ("SecondFactorError", "SECOND_FACTOR_REFUSED")
    code = checker.code()
    # What was refused for another reason has not used the code up.
    assert (await answer(checker.client, APPROVE, id=difference, version=1, code=code))["code"] == "DIFFERENCE_CHANGED"
    assert await trace() == before
    assert (await answer(checker.client, APPROVE, id=difference, code=code))["__typename"] == "DifferenceSuccess"
    before = await trace()
    assert (await answer(checker.client, APPROVE, id=difference, code=code))["code"] == "SECOND_FACTOR_REFUSED"
    assert (await answer(checker.client, APPROVE, id=difference, code=checker.code()))["code"] == "DIFFERENCE_CHANGED"
    assert await trace() == before
