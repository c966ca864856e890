"""What operators see and settle over GraphQL: each for its roles, each action with its record."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.actions import recording
from domain.events.alerts import AUDIENCES
from domain.events.streams import AlertKind
from domain.ledger import postings
from domain.ledger.error_entries import note_error
from domain.orders import alerts
from kernel.clock import utc_now
from kernel.ids import new_id, short_text
from kernel.states import ErrorKind, StaffRole
from models.database import transactional
from models.jobs import Job, JobIntervention
from models.staff_actions import StaffAction
from schema.types.relay import global_id, key_of
from tests.factories import create_card, create_order, create_staff, create_viewer
from tests.ledger.booking import CLEARING, book
from tests.schema.conftest import Client
from tests.schema.test_staff import staff_client
from tests.subscriptions.happenings import await_review, park_work

PARKED = """query ($kind: String, $first: Int!, $after: String) {
  parkedWork(kind: $kind, first: $first, after: $after) {
  edges { cursor node { work { id jobId kind reason } attempts interventions { action actor reason } } }
  pageInfo { hasNextPage endCursor } } }"""
SETTLE = """mutation ($id: ID!, $reason: String!) { answer: %s(input: {workId: $id, reason: $reason}) { __typename
  ... on SettleWorkSuccess { work { jobId parkedAt } } ... on UserError { code message } } }"""
QUEUE = "{ workQueue { kind count oldestAt } }"
SEARCH = """query ($by: OrderSearchInput!, $first: Int, $after: String) {
  searchOrders(by: $by, first: $first, after: $after) { edges { cursor node { number userId customerName phone cardTail
  order { id card { maskedNumber } } payments { outTradeNo } recharges { issuer } } }
  pageInfo { hasNextPage endCursor } } }"""
STORY = """query ($id: ID!) { orderStory(id: $id) { complete order { id }
  entries { at kind what actor amount { fen } account facts { name value } } } }"""
ACTIONS = """query ($action: String, $type: String, $id: String) {
  staffActions(action: $action, objectType: $type, objectId: $id) { edges { node {
  position actor roles action objectType objectId reason before after requestId at digest } } } }"""
ERRORS = """query ($kind: ErrorKind, $id: ID) { ledgerErrors(kind: $kind, orderId: $id) {
  edges { node { kind amount { fen } detail orderId } } } }"""
SUSPENSE = """query ($account: String!) { suspenseEntries(account: $account) {
  edges { node { account amount { fen } posting } } } }"""


def nodes(connection: dict[str, Any]) -> list[dict[str, Any]]:
    return [edge["node"] for edge in connection["edges"]]


class TestParkedWork:
    async def test_it_is_paged_and_filtered(self, client: Client) -> None:
        jobs = [await park_work() for _ in range(3)]
        support = await staff_client(client, StaffRole.SUPPORT)
        page = (await support.ask(PARKED, {"first": 2}))["parkedWork"]
        assert page["pageInfo"]["hasNextPage"]
        rest = (await support.ask(PARKED, {"first": 2, "after": page["pageInfo"]["endCursor"]}))["parkedWork"]
        assert [node["work"]["jobId"] for node in nodes(page) + nodes(rest)] == [str(job.id) for job in jobs]
        assert nodes((await support.ask(PARKED, {"first": 9, "kind": "refund"}))["parkedWork"]) == []
        assert await support.code(PARKED, {"first": 2, "after": "nonsense"}) == "CURSOR_INVALID"
        assert await support.code(PARKED, {"first": 0}) == "PAGE_SIZE_INVALID"

    @pytest.mark.parametrize(("mutation", "done"), [("retryWork", False), ("dismissWork", True)])
    async def test_it_is_settled_with_a_record(self, client: Client, mutation: str, done: bool) -> None:
        job, member = await park_work(), await staff_client(client, StaffRole.OPERATIONS)
        given = {"id": global_id("ParkedWork", job.id), "reason": " the bank says so "}
        answer = (await member.ask(SETTLE % mutation, given))["answer"]
        assert answer["__typename"] == "SettleWorkSuccess"
        row = await Job.get(id=job.id)
        assert (row.done_at is not None, row.parked_at is None) == (done, not done)
        act, recorded = await JobIntervention.get(), await StaffAction.get()
        assert recorded.before is not None
        assert recorded.after is not None
        assert act.actor == recorded.actor
        assert (recorded.action, recorded.roles, recorded.object_id) == (mutation, "OPERATIONS", str(job.id))
        assert (recorded.reason, act.reason) == ("the bank says so", "the bank says so")
        assert recorded.before["parked_at"] is not None
        assert recorded.request_id
        again = (await member.ask(SETTLE % mutation, given))["answer"]
        assert (again["__typename"], again["code"]) == ("DecisionError", "JOB_NOT_PARKED")
        assert await StaffAction.all().count() == 1

    async def test_bad_wishes_change_nothing(self, client: Client) -> None:
        job, member = await park_work(), await staff_client(client, StaffRole.FINANCE)
        mine = global_id("ParkedWork", job.id)
        for key, reason, code in (
            (mine, " ", "REASON_MISSING"),
            (mine, "x" * 257, "REASON_MISSING"),
            (global_id("ParkedWork", new_id()), "why", "JOB_NOT_FOUND"),
            (global_id("Order", job.id), "why", "JOB_NOT_FOUND"),
            ("nonsense", "why", "JOB_NOT_FOUND"),
        ):
            assert (await member.ask(SETTLE % "retryWork", {"id": key, "reason": reason}))["answer"]["code"] == code
        other = await staff_client(client, *set(StaffRole) - {StaffRole.OPERATIONS, StaffRole.FINANCE})
        for mutation in ("retryWork", "dismissWork"):
            refused = (await other.ask(SETTLE % mutation, {"id": mine, "reason": "why"}))["answer"]
            assert refused["code"] == "FORBIDDEN"
        assert (await Job.get(id=job.id)).parked_at is not None
        assert not await StaffAction.exists()
        assert not await JobIntervention.exists()

    async def test_without_its_record_nothing_is_settled(self, client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
        job, member = await park_work(), await staff_client(client, StaffRole.OPERATIONS)

        def broken(*_arguments: Any, **_given: Any) -> str:
            raise OSError("the disk is full")

        monkeypatch.setattr(recording, "digest_of", broken)
        answer = await member.post(SETTLE % "dismissWork", {"id": global_id("ParkedWork", job.id), "reason": "why"})
        assert answer.json()["errors"][0]["extensions"]["code"] == "INTERNAL"
        assert "disk" not in answer.text
        assert (await Job.get(id=job.id)).done_at is None
        assert not await JobIntervention.exists()


class TestQueue:
    async def test_a_role_counts_what_it_can_act_on(self, client: Client) -> None:
        viewer = await create_viewer()
        order = await create_order(viewer, await create_card(viewer), yuan="2500.00")
        await await_review(order)
        await park_work()
        for role in StaffRole:
            found = (await (await staff_client(client, role)).ask(QUEUE))["workQueue"]
            assert {each["kind"] for each in found} == {
                kind.value for kind, audience in AUDIENCES.items() if role in audience
            }
            for each in found:
                assert each["count"] == (1 if each["kind"] in {"REVIEW", "WORK"} else 0)
                assert (each["oldestAt"] is not None) == bool(each["count"])

    def test_each_kind_has_an_audience_and_a_queue(self) -> None:
        assert set(AUDIENCES) == set(AlertKind) == set(alerts.QUEUES)
        assert all(AUDIENCES.values())

    async def test_the_work_of_the_house_is_counted_by_kind(self, client: Client) -> None:
        await park_work()
        (status,) = (await (await staff_client(client, StaffRole.AUDITOR)).ask("{ workStatus { kind parked } }"))[
            "workStatus"
        ]
        assert status == {"kind": "query_payment", "parked": 1}


class TestSearch:
    async def test_an_order_is_found_by_its_number_and_told(self, client: Client) -> None:
        viewer = await create_viewer()
        order = await create_order(viewer, await create_card(viewer))
        support = await staff_client(client, StaffRole.SUPPORT)
        by = {"number": short_text(order.id)}
        (node,) = nodes((await support.ask(SEARCH, {"by": by}))["searchOrders"])
        assert key_of(node["order"]["id"], "Order") == order.id
        assert (node["userId"], node["cardTail"], node["phone"]) == (str(viewer.user_id), "0001", None)
        assert node["customerName"] == "测试"
        (masked,) = nodes(
            (await (await staff_client(client, StaffRole.FINANCE)).ask(SEARCH, {"by": by}))["searchOrders"]
        )
        assert masked["customerName"] == "测**"
        assert await StaffAction.filter(action="searchOrders").count() == 2

    async def test_pages_and_refusals(self, client: Client) -> None:
        viewer = await create_viewer()
        card = await create_card(viewer)
        orders = [await create_order(viewer, card, yuan="20.00") for _ in range(3)]
        support = await staff_client(client, StaffRole.SUPPORT)
        by = {"userId": str(viewer.user_id)}
        page = (await support.ask(SEARCH, {"by": by, "first": 2}))["searchOrders"]
        rest = (await support.ask(SEARCH, {"by": by, "first": 2, "after": page["pageInfo"]["endCursor"]}))[
            "searchOrders"
        ]
        found = [key_of(node["order"]["id"], "Order") for node in nodes(page) + nodes(rest)]
        assert found == [order.id for order in reversed(orders)]
        for bad in ({}, {"cardTail": "12"}):
            assert await support.code(SEARCH, {"by": bad}) == "SEARCH_INVALID"
        assert await support.code(SEARCH, {"by": by, "after": "nonsense"}) == "CURSOR_INVALID"
        assert await support.code(SEARCH, {"by": by, "first": 101}) == "PAGE_SIZE_INVALID"

    async def test_customers_and_strangers_find_nothing(self, client: Client, nobody: Client) -> None:
        by = {"by": {"since": "2026-01-01T00:00:00Z"}}
        assert await client.code(SEARCH, by) == "FORBIDDEN"
        assert await nobody.code(SEARCH, by) == "UNAUTHENTICATED"
        assert await (await staff_client(client, StaffRole.ADMIN)).code(SEARCH, by) == "FORBIDDEN"
        assert not await StaffAction.exists()


async def test_a_story_is_told_over_graphql(client: Client) -> None:
    viewer = await create_viewer()
    order = await create_order(viewer, await create_card(viewer))
    support = await staff_client(client, StaffRole.SUPPORT)
    story = (await support.ask(STORY, {"id": global_id("Order", order.id)}))["orderStory"]
    assert story["complete"]
    first = story["entries"][0]
    assert (first["kind"], first["what"], first["actor"]) == ("STEP", "CREATE", f"user:{viewer.user_id}")
    assert first["at"].endswith("Z")
    for bad in (global_id("Card", order.id), global_id("Order", new_id()), "nonsense"):
        assert await support.code(STORY, {"id": bad}) == "ORDER_NOT_FOUND"
    assert await client.code(STORY, {"id": global_id("Order", order.id)}) == "FORBIDDEN"
    assert await StaffAction.all().count() == 1


async def test_auditors_see_who_did_what(client: Client) -> None:
    job, member = await park_work(), await staff_client(client, StaffRole.OPERATIONS)
    await member.ask(
        SETTLE % "retryWork", {"id": global_id("ParkedWork", job.id), "reason": "card 1000111100000000001"}
    )
    auditor = await staff_client(client, StaffRole.AUDITOR)
    (row,) = nodes((await auditor.ask(ACTIONS, {"type": "ParkedWork", "id": str(job.id)}))["staffActions"])
    assert (row["position"], row["roles"], row["action"]) == (1, ["OPERATIONS"], "retryWork")
    assert row["reason"] == "card ***0001"
    assert (row["before"]["failures"], row["after"]["parked_at"]) == (0, None)
    assert len(row["digest"]) == 64
    assert nodes((await auditor.ask(ACTIONS, {"action": "reviewOrder"}))["staffActions"]) == []
    for role in set(StaffRole) - {StaffRole.AUDITOR, StaffRole.ADMIN}:
        assert await (await staff_client(client, role)).code(ACTIONS) == "FORBIDDEN"


async def test_the_error_ledger_is_listed(client: Client) -> None:
    order_id, now = new_id(), utc_now()

    @transactional
    async def note() -> None:
        for number, kind in enumerate((ErrorKind.LATE_PAYMENT, ErrorKind.RECHARGE_REFUSED)):
            await note_error(
                kind=kind, subject=str(number), user_id=new_id(), order_id=order_id if number else None,
                amount_fen=100 + number, detail="why", now=now,
            )  # fmt: skip

    await note()
    support = await staff_client(client, StaffRole.SUPPORT)
    newest, oldest = nodes((await support.ask(ERRORS))["ledgerErrors"])
    assert (newest["kind"], newest["amount"], newest["orderId"]) == (
        "RECHARGE_REFUSED",
        {"fen": 101},
        global_id("Order", order_id),
    )
    assert nodes((await support.ask(ERRORS, {"kind": "LATE_PAYMENT"}))["ledgerErrors"]) == [oldest]
    assert nodes((await support.ask(ERRORS, {"id": global_id("Order", order_id)}))["ledgerErrors"]) == [newest]
    assert nodes((await support.ask(ERRORS, {"id": "nonsense"}))["ledgerErrors"]) == []
    assert await (await staff_client(client, StaffRole.ADMIN)).code(ERRORS) == "FORBIDDEN"


async def test_suspense_is_shown_line_by_line(client: Client) -> None:
    when = datetime(2026, 5, 1, tzinfo=UTC)
    for number in (1, 2):
        await book(
            postings.suspended(
                difference_id=new_id(), number=1, account=CLEARING, party="wechat_pay", amount_fen=number
            ),
            now=when + timedelta(days=number),
        )
    finance = await staff_client(client, StaffRole.FINANCE)
    lines = nodes((await finance.ask(SUSPENSE, {"account": "suspense:wechat_pay"}))["suspenseEntries"])
    assert [line["amount"]["fen"] for line in lines] == [-2, -1]
    assert nodes((await finance.ask(SUSPENSE, {"account": "suspense:nobody"}))["suspenseEntries"]) == []
    for account in ("loss", "", "customer_prepaid:x"):
        assert await finance.code(SUSPENSE, {"account": account}) == "ACCOUNT_INVALID"
    assert await (await staff_client(client, StaffRole.SUPPORT)).code(SUSPENSE, {"account": "loss"}) == "FORBIDDEN"


@pytest.mark.usefixtures("database")
async def test_staff_without_an_alerts_role_hear_nothing() -> None:
    await park_work()
    for role in StaffRole:
        heard = await alerts.waiting(staff=await create_staff(role), limit=10)
        assert bool(heard) == (role in AUDIENCES[AlertKind.WORK])
