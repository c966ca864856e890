"""A day of payments in a database, and a bill of it in which a few lines are wrong."""

from __future__ import annotations

import csv
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from hashlib import blake2b
from pathlib import Path
from uuid import UUID

import asyncpg

from domain.payments.bills import BillLine, BillLineKind, BillNotReady, BillRefused
from domain.reconciliation.rules import Entry
from domain.reconciliation.sources import of_channel, read_whole
from kernel.clock import SHANGHAI
from kernel.ids import new_id

CHANNEL, SUB_MCHID = "wechat_pay", "1900000209"
DAY = date(2026, 5, 20)
BEGINS_AT = datetime.combine(DAY, time(), SHANGHAI)
SECONDS = 86_400
# One line in so many is wrong, in one of three ways in turn.
WRONG_EVERY = 5_000
WAYS = ("SHORT", "AMOUNT_DIFF", "LONG")
ATTEMPTS_PER_ORDER = 50

COLUMNS = (
    "id", "order_id", "user_id", "number", "channel", "sub_mchid", "out_trade_no", "amount_fen", "state",
    "transaction_id", "created_at", "settled_at",
)  # fmt: skip
USER = "INSERT INTO user_account (id, openid, display_name, created_at) VALUES ($1, 'bench', 'bench', $2)"
CARD = (
    "INSERT INTO fuel_card (id, user_id, brand, number_sealed, number_digest, number_tail, created_at) "
    "VALUES ($1, $2, 'SINOPEC', $3, 'bench', '0000', $4)"
)
ORDER = (
    "INSERT INTO recharge_order (id, user_id, card_id, amount_fen, price_fen, state, version, failure_kind, "
    "refund_state, review_state, pay_deadline_at, created_at, updated_at) "
    "VALUES ($1, $2, $3, 50000, 50000, 'FAILED', 1, 'UNPAID', 'NONE', 'NONE', $4, $4, $4)"
)


@dataclass(frozen=True, slots=True)
class Payment:
    number: int
    out_trade_no: str
    amount_fen: int
    settled_at: datetime


def payments(count: int) -> Iterator[Payment]:
    """Yield the day's payments in the order of time; their numbers are in no order."""
    for number in range(count):
        key = blake2b(number.to_bytes(8, "big"), digest_size=14).hexdigest()
        yield Payment(number, key, 1_000 + number % 490_000, BEGINS_AT + timedelta(seconds=number * SECONDS / count))


def _orders(count: int) -> list[UUID]:
    return [new_id() for _ in range(-(-count // ATTEMPTS_PER_ORDER))]


def _rows(count: int, orders: Sequence[UUID], user_id: UUID) -> Iterator[tuple[object, ...]]:
    for each in payments(count):
        place, number = divmod(each.number, ATTEMPTS_PER_ORDER)
        yield (
            new_id(), orders[place], user_id, number + 1, CHANNEL, SUB_MCHID, each.out_trade_no, each.amount_fen,
            "PAID", f"42{each.out_trade_no}", each.settled_at, each.settled_at,
        )  # fmt: skip


async def fill_postgres(url: str, count: int) -> None:
    connection = await asyncpg.connect(url)
    try:
        user_id, card_id, orders = new_id(), new_id(), _orders(count)
        await connection.execute(USER, user_id, BEGINS_AT)
        await connection.execute(CARD, card_id, user_id, b"", BEGINS_AT)
        await connection.executemany(ORDER, [(order_id, user_id, card_id, BEGINS_AT) for order_id in orders])
        rows = _rows(count, orders, user_id)
        await connection.copy_records_to_table("payment_attempt", records=rows, columns=COLUMNS)
        await connection.execute("VACUUM (ANALYZE) payment_attempt")
    finally:
        await connection.close()


def fill_sqlite(path: Path, count: int) -> None:
    def told(row: tuple[object, ...]) -> list[object]:
        return [_for_sqlite(value) for value in row]

    with closing(sqlite3.connect(path)) as connection, connection:
        user_id, card_id, orders = new_id(), new_id(), _orders(count)
        for statement, values in (
            (USER, (user_id, BEGINS_AT)),
            (CARD, (card_id, user_id, b"", BEGINS_AT)),
            *((ORDER, (order_id, user_id, card_id, BEGINS_AT)) for order_id in orders),
        ):
            connection.execute(statement.replace("$", "?"), told(values))
        names, marks = ", ".join(COLUMNS), ", ".join("?" * len(COLUMNS))
        statement = f"INSERT INTO payment_attempt ({names}) VALUES ({marks})"  # noqa: S608 -- names of columns.
        connection.executemany(statement, map(told, _rows(count, orders, user_id)))


def _for_sqlite(value: object) -> object:
    """Return the value as the ORM keeps it there."""
    if isinstance(value, datetime):
        return str(value.astimezone(UTC))
    return value if isinstance(value, int | str | bytes) else str(value)


def write_bill(path: Path, count: int) -> Counter[str]:
    """Write the bill, and return what is wrong with it by class."""
    wrong: Counter[str] = Counter()
    with path.open("w", newline="") as file:
        bill = csv.writer(file)
        for each in payments(count):
            amount_fen = each.amount_fen
            if each.number % WRONG_EVERY == 0:
                way = WAYS[each.number // WRONG_EVERY % len(WAYS)]
                wrong[way] += 1
                if way == "SHORT":
                    continue
                amount_fen += way == "AMOUNT_DIFF"
                if way == "LONG":
                    bill.writerow((f"stranger{each.number}", "420", "SUCCESS", 777, each.settled_at.isoformat()))
            bill.writerow(
                (each.out_trade_no, f"42{each.out_trade_no}", "SUCCESS", amount_fen, each.settled_at.isoformat())
            )
        bill.writerow(("end",))
    return wrong


@dataclass(frozen=True, slots=True)
class Bill:
    """The source of such a file."""

    name: str = f"{CHANNEL}:{SUB_MCHID}"

    async def fetch(self, *, day: date, into: Path) -> None:
        raise BillNotReady(day.isoformat())

    def read(self, path: Path, *, day: date) -> Iterator[Entry]:
        return read_whole(map(of_channel, self._lines(path)))

    def _lines(self, path: Path) -> Iterator[BillLine]:
        with path.open(newline="") as file:
            for line in csv.reader(file):
                if line == ["end"]:
                    return
                out_trade_no, transaction_id, state, amount_fen, occurred_at = line
                yield BillLine(
                    kind=BillLineKind.PAYMENT,
                    out_trade_no=out_trade_no,
                    transaction_id=transaction_id,
                    out_refund_no=None,
                    refund_id=None,
                    sub_mchid=SUB_MCHID,
                    state=state,
                    amount_fen=int(amount_fen),
                    fee_fen=0,
                    occurred_at=datetime.fromisoformat(occurred_at),
                )
        raise BillRefused("the bill has no end")
