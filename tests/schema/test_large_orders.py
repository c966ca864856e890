"""Orders over ¥2,000: a face before they are paid, and a colleague before they are recharged."""

from __future__ import annotations

import asyncio
from typing import Any

from domain.orders.policy import Policy
from kernel.clock import utc_now
from kernel.ids import new_id
from kernel.states import FaceCheckState, OrderState, StaffRole
from models.orders import RechargeAttempt, RechargeOrder
from models.payments import PaymentAttempt
from models.reviews import FaceCheck, Review
from schema.types.relay import global_id
from tests.sandbox_fixtures import Sandbox
from tests.schema.conftest import Client
from tests.schema.support import ORDER, PAY, ask, bind_card, order, refused, trace, work
from tests.schema.test_staff import DECISIONS, staff_client

FACE = """
mutation ($order: ID!) {
  answer: startFaceCheck(input: { orderId: $order }) {
    __typename
    ... on StartFaceCheckSuccess { token url expiresAt }
    ... on UserError { code message }
    ... on FaceCheckError { retryable }
  }
}"""
REVIEWS = "{ reviews { edges { node { order { id } reason } } } }"


async def large(client: Client) -> Any:
    made = await order(client, await bind_card(client), amount="2000.01")
    assert made["reviewState"] == "REQUIRED"
    return made


async def checked(client: Client, sandbox: Sandbox, made: Any, outcome: str = "passed") -> str:
    """Return the token of a face check that the user went through."""
    started = await ask(client, FACE, order=made["id"])
    assert started["__typename"] == "StartFaceCheckSuccess", started
    sandbox.verify_face(started["token"], outcome)
    return str(started["token"])


async def pay(client: Client, made: Any, face: str | None, key: str = "pay-key-1") -> Any:
    return await ask(client, PAY, order=made["id"], key=key, face=face)


async def test_a_passed_check_pays_once_and_a_colleague_lets_it_be_recharged(client: Client, sandbox: Sandbox) -> None:
    made = await large(client)
    token = await checked(client, sandbox, made)
    answers = await asyncio.gather(*(pay(client, made, token) for _ in range(4)))
    assert len({each["payment"]["package"] for each in answers}) == 1
    assert (await FaceCheck.get()).state is FaceCheckState.USED
    sandbox.pay(answers[0]["payment"]["package"])
    await work(client)
    assert (await RechargeOrder.get()).state is OrderState.RECHARGING
    assert await RechargeAttempt.all().count() == 0
    colleague = await staff_client(client, StaffRole.RISK)
    (edge,) = (await colleague.ask(REVIEWS))["reviews"]["edges"]
    assert edge["node"] == {"order": {"id": made["id"]}, "reason": "LARGE_AMOUNT"}
    decided = await colleague.ask(DECISIONS["reviewOrder"], {"id": made["id"]})
    assert decided["answer"]["__typename"] == "ReviewOrderSuccess"
    await work(client)
    assert await RechargeAttempt.all().count() == 1


async def test_without_a_check_that_holds_nothing_is_begun(client: Client, sandbox: Sandbox) -> None:
    made = await large(client)
    other = await order(client, await bind_card(client, "9012345678901234"), key="order-key-2", amount="3000.00")
    unfinished = (await ask(client, FACE, order=made["id"]))["token"]
    failed = await checked(client, sandbox, made, "failed")
    of_another_order = await checked(client, sandbox, other)
    before = await trace()
    for face, code, retryable in (
        (None, "FACE_TOKEN_MISSING", False),
        ("", "FACE_TOKEN_MISSING", False),
        ("never-given", "FACE_TOKEN_INVALID", False),
        ("x" * 5_000, "FACE_TOKEN_INVALID", False),
        (of_another_order, "FACE_TOKEN_INVALID", False),
        (unfinished, "FACE_NOT_FINISHED", True),
        (failed, "FACE_CHECK_FAILED", False),
    ):
        answer = await refused(client, PAY, order=made["id"], key="pay-key-1", face=face)
        assert answer == ("FaceCheckError", code)
        assert (await pay(client, made, face))["retryable"] is retryable
    assert await trace() == before
    assert await PaymentAttempt.all().count() == 0
    # Whoever was not finished finishes, and the same token is good.
    sandbox.verify_face(unfinished)
    assert (await pay(client, made, unfinished))["__typename"] == "PayRechargeSuccess"


async def test_a_token_is_not_good_twice_or_too_late(client: Client, sandbox: Sandbox) -> None:
    made = await large(client)
    late = await checked(client, sandbox, made)
    await FaceCheck.all().update(expires_at=utc_now())
    assert await refused(client, PAY, order=made["id"], key="pay-key-1", face=late) == (
        "FaceCheckError",
        "FACE_TOKEN_INVALID",
    )
    used = await checked(client, sandbox, made)
    assert (await pay(client, made, used))["__typename"] == "PayRechargeSuccess"
    other = await order(client, await bind_card(client), key="order-key-2", amount="2500.00")
    assert (await pay(client, other, used, "pay-key-2"))["code"] == "FACE_TOKEN_INVALID"


async def test_one_persons_face_does_not_pay_anothers_order(client: Client, sandbox: Sandbox) -> None:
    stranger = await client.another_person()
    made, theirs = await large(client), await large(stranger)
    token = await checked(stranger, sandbox, theirs)
    assert (await pay(client, made, token))["code"] == "FACE_TOKEN_INVALID"
    for bad in (theirs["id"], str(global_id("Order", new_id())), "x"):
        assert await refused(client, FACE, order=bad) == ("NotFound", "ORDER_NOT_FOUND")
    assert await FaceCheck.all().count() == 1


async def test_a_check_is_only_begun_where_one_is_needed(client: Client, nobody: Client) -> None:
    made = await order(client, await bind_card(client), amount="2000.00")
    assert made["reviewState"] == "NONE"
    assert await refused(client, FACE, order=made["id"]) == ("OrderStateError", "FACE_CHECK_NOT_NEEDED")
    assert await nobody.code(FACE, {"order": made["id"]}) == "UNAUTHENTICATED"
    assert await FaceCheck.all().count() == 0


async def test_a_service_that_is_down_is_told_and_may_be_asked_again(client: Client, sandbox: Sandbox) -> None:
    made = await large(client)
    sandbox.faults(face="error_500")
    assert await refused(client, FACE, order=made["id"]) == ("FaceCheckError", "FACE_VERIFICATION_UNAVAILABLE")
    assert (await ask(client, FACE, order=made["id"]))["retryable"] is True
    sandbox.clear_faults()
    token = await checked(client, sandbox, made)
    sandbox.faults(face="error_500")
    answer = await pay(client, made, token)
    assert (answer["code"], answer["retryable"]) == ("FACE_VERIFICATION_UNAVAILABLE", True)
    assert await PaymentAttempt.all().count() == 0
    sandbox.clear_faults()
    assert (await pay(client, made, token))["__typename"] == "PayRechargeSuccess"


async def test_a_large_order_in_small_pieces_is_looked_at_too(client: Client) -> None:
    card = await bind_card(client)
    made = [await order(client, card, key=f"order-key-{number}", amount="1000.00") for number in range(3)]
    assert [each["reviewState"] for each in made] == ["NONE", "NONE", "REQUIRED"]
    assert await refused(client, PAY, order=made[2]["id"], key="pay-key-1") == ("FaceCheckError", "FACE_TOKEN_MISSING")
    # Another account that recharges the same card is no way around it.
    stranger = await client.another_person()
    theirs = await order(stranger, await bind_card(stranger), amount="100.00")
    assert theirs["reviewState"] == "REQUIRED"


async def test_what_is_over_the_largest_amount_is_no_order_at_all(client: Client) -> None:
    card = await bind_card(client)
    maximum = Policy.of(client.settings).limits.amount_max_fen
    over = f"{maximum // 100}.01"
    assert await refused(client, ORDER, card=card, key="order-key-1", amount=over) == (
        "InvalidAmount",
        "AMOUNT_TOO_LARGE",
    )
    assert await RechargeOrder.all().count() == await Review.all().count() == 0
