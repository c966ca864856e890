"""Reading answers, and noticing what none of them may tell."""

from __future__ import annotations

import asyncpg
import orjson
import pytest

from bench.storm.answers import Outcome, read, telltale

ORDER = {"id": "T3JkZXI6MDFhMjEwZjMtZWZjYy03ZDdjLThjYzMtNzY1ZDEzMjA0ODhj", "state": "PENDING_PAYMENT"}
CREATED = {"data": {"createRecharge": {"__typename": "CreateRechargeSuccess", "order": ORDER}}}
PAYMENT = {"package": "prepay_id=wx20261125034024a1b2c3d4e5f60718293a"}
REFUSED = {"data": {"payRecharge": {"__typename": "OrderNotPayable", "code": "ORDER_NOT_PAYABLE", "message": "订单"}}}
MASKED = {"data": None, "errors": [{"message": "系统错误", "extensions": {"code": "INTERNAL", "id": "4Yk7c2dTzQ"}}]}
INNOCENT = (
    CREATED,
    {"data": {"payRecharge": {"__typename": "PayRechargeSuccess", "payment": PAYMENT}}},
    REFUSED,
    MASKED,
    {"data": {"createRecharge": {"code": "TOO_MANY_UNPAID_ORDERS", "message": "You have 5 unpaid orders; pay one"}}},
    {"data": {"payRecharge": {"code": "PAYMENT_UNAVAILABLE", "message": "The payment channel is busy, please repeat"}}},
    {"status": "ok"},
)
# As drivers, libraries and databases say it.
TOLD = (
    repr(asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")),
    repr(asyncpg.DeadlockDetectedError("deadlock detected")),
    "canceling statement due to statement timeout",
    "terminating connection due to administrator command",
    "the database system is starting up",
    "the database system is in recovery mode",
    "sorry, too many clients already",
    'duplicate key value violates unique constraint "idempotency_key_user_id_operation_key_key"',
    'relation "recharge_order" does not exist',
    "server closed the connection unexpectedly",
    "[Errno 111] Connect call failed ('127.0.0.1', 5432)",
    "database is locked (sqlite3.OperationalError)",
    "tortoise.exceptions.TransactionManagementError",
    'SELECT "id" FROM "recharge_order" WHERE "id"=$1',
    "UPDATE ledger_account SET balance_fen = balance_fen + 1",
    'Traceback (most recent call last):\n  File "/srv/app.py", line 3',
    "asyncio.exceptions.TimeoutError",
    "is the server running on localhost and accepting connections on port 5432?",
    "Error 32 while writing to socket. Broken pipe.",
)


@pytest.mark.parametrize("answer", INNOCENT, ids=lambda answer: str(answer)[:60])
def test_what_an_answer_may_say_is_no_telltale(answer: object) -> None:
    assert telltale(orjson.dumps(answer)) is None


@pytest.mark.parametrize("words", TOLD)
def test_what_only_a_driver_would_say_is_found_anywhere_in_an_answer(words: str) -> None:
    assert telltale(orjson.dumps({"errors": [{"message": words}]})) is not None
    assert telltale(f"<html>{words}</html>".encode()) is not None


@pytest.mark.parametrize(
    ("body", "outcome", "code"),
    [
        (orjson.dumps(CREATED), Outcome.DONE, ""),
        (orjson.dumps(REFUSED), Outcome.REFUSED, "ORDER_NOT_PAYABLE"),
        (orjson.dumps(MASKED), Outcome.BROKEN, "INTERNAL"),
        (b"Internal Server Error", Outcome.BROKEN, "NOT_GRAPHQL"),
        (b'{"data": {}}', Outcome.BROKEN, "NOT_GRAPHQL"),
        (b"[]", Outcome.BROKEN, "NOT_GRAPHQL"),
        (b'{"errors": ["x"]}', Outcome.BROKEN, "NOT_GRAPHQL"),
        (b"", Outcome.BROKEN, "NOT_GRAPHQL"),
    ],
)
def test_outcomes(body: bytes, outcome: Outcome, code: str) -> None:
    assert read(body)[:2] == (outcome, code)


def test_a_good_answer_has_its_payload() -> None:
    assert read(orjson.dumps(CREATED))[2] == CREATED["data"]["createRecharge"]
