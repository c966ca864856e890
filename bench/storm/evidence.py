"""Reading the evidence that the judgement is made from: the service's database and the sandbox's own record."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import orjson

from bench.storm.database import Database, Row, read_file
from bench.storm.verify import Books, Order, Payment, Recharge, Refund, World

ORDERS = "SELECT id, amount_fen, state, failure_kind, refund_state FROM recharge_order"
KEYS = "SELECT key, result_id FROM idempotency_key WHERE operation = 'createRecharge'"
ATTEMPTS = "SELECT id, order_id FROM recharge_attempt"
PAYMENTS = "SELECT out_trade_no, order_id, amount_fen, state, transaction_id FROM payment_attempt"
REFUNDS = "SELECT out_refund_no, order_id, amount_fen, state FROM refund"
PARKED = "SELECT kind, key, payload, last_error FROM job WHERE parked_at IS NOT NULL"
NOTICES = "SELECT id, facts FROM third_party_notice WHERE applied_at IS NULL"
RECORDS = "SELECT kind, document FROM record WHERE kind IN ('trade', 'refund', 'recharge') ORDER BY number"


async def books_of(database: Database) -> Books:
    """Read the service's own rows. Raises whatever `Database.rows` does."""
    orders = {
        str(row["id"]): Order(str(row["id"]), row["amount_fen"], row["state"], row["failure_kind"], row["refund_state"])
        for row in await database.rows(ORDERS)
    }
    keys = [(str(row["key"]), str(row["result_id"])) for row in await database.rows(KEYS)]
    attempts = {str(row["id"]): str(row["order_id"]) for row in await database.rows(ATTEMPTS)}
    payments = {
        row["out_trade_no"]: Payment(
            row["out_trade_no"], str(row["order_id"]), row["amount_fen"], row["state"], row["transaction_id"]
        )
        for row in await database.rows(PAYMENTS)
    }
    refunds = {
        row["out_refund_no"]: Refund(row["out_refund_no"], str(row["order_id"]), row["amount_fen"], row["state"])
        for row in await database.rows(REFUNDS)
    }
    names = {order_id: order_id for order_id in orders} | attempts
    names |= {number: payment.order_id for number, payment in payments.items()}
    names |= {number: refund.order_id for number, refund in refunds.items()}
    return Books(orders, keys, attempts, payments, refunds, await _parked(database, names))


async def _parked(database: Database, names: dict[str, str]) -> dict[str, str]:
    """Return why an order waits for a person, by order; `names` are all numbers that lead to one."""
    parked = await database.rows(PARKED)
    if not parked:
        return {}
    notices = {str(row["id"]): _document(row["facts"]) for row in await database.rows(NOTICES)}
    reasons: dict[str, str] = {}
    for row in parked:
        payload = _document(row["payload"])
        facts = notices.get(str(payload.get("notice_id")), {}).get("facts", {})
        for name in (row["key"], *payload.values(), *facts.values()):
            if str(name) in names:
                reasons[names[str(name)]] = f"{row['kind']}: {row['last_error']}"
    return reasons


def _document(value: Any) -> dict[str, Any]:
    """JSON comes as text from both drivers, or as what it says from one that reads it."""
    document = orjson.loads(value) if isinstance(value, str | bytes) else value
    return dict(document)


async def world_of(sandbox_records: Path) -> World:
    """Read what the sandbox has on record, which no code of the service has written."""
    rows = await asyncio.to_thread(read_file, sandbox_records, RECORDS)
    return World(
        payments={
            each["out_trade_no"]: Payment(
                each["out_trade_no"], "", each["total"], each["state"], each["transaction_id"]
            )
            for each in _of_kind("trade", rows)
        },
        refunds={
            each["out_refund_no"]: Refund(each["out_refund_no"], "", each["refund"], each["status"])
            for each in _of_kind("refund", rows)
        },
        recharges={
            each["attempt_id"]: Recharge(each["attempt_id"], each["card_tail"], each["amount_fen"], each["state"])
            for each in _of_kind("recharge", rows)
        },
    )


def _of_kind(kind: str, rows: list[Row]) -> list[dict[str, Any]]:
    return [orjson.loads(row["document"]) for row in rows if row["kind"] == kind]
