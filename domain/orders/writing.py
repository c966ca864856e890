"""Writing a new order with all that belongs to it: its key, its first step, its event, and the work that ends it.

On PostgreSQL this is one statement, which is a transaction by itself, for everybody who writes at a time. An order is
written where its user has not taken a turn since the facts were read, and has nothing under way (see `creation_facts`);
the others are left out, without waiting, and nothing of theirs is written. SQLite has no such statement; its own run in
the transaction that read the facts.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from tortoise import Tortoise

from domain.events import signals
from domain.events.streams import EventType, order_stream
from domain.orders.creation_facts import AT_ONCE_MAX, text_of_json
from domain.orders.transitions import CREATED_VERSION, CREATION
from domain.work.operations import Kind
from kernel.states import RefundState
from models.changes import of_users
from models.database import after_commit, dialect, to_its_end
from models.joining import Joined
from models.lean_transactions import write_alone

# What differs from order to order, and of which type; each order is an object of these.
COLUMNS = {
    "id": "uuid",
    "user_id": "uuid",
    "turn": "text",
    "card_id": "uuid",
    "offer_id": "uuid",
    "organisation_id": "uuid",
    "member_id": "uuid",
    "amount_fen": "bigint",
    "price_fen": "bigint",
    "review_state": "text",
    "review_reason": "text",
    "pay_deadline_at": "timestamptz",
    "made_at": "timestamptz",
    "operation": "text",
    "key": "text",
    "input_hash": "text",
    "actor": "text",
    "request_id": "text",
    "event": "jsonb",
    "job": "jsonb",
}
# What is alike for all of them, or follows from the id.
DERIVED = {
    "state": f"'{CREATION.target}'",
    "version": str(CREATED_VERSION),
    "refund_state": f"'{RefundState.NONE}'",
    "rule": str(CREATION.number),
    "trigger": f"'{CREATION.trigger}'",
    "stream": f"'{order_stream('')}' || id",
    "event_type": f"'{EventType.ORDER_CHANGED}'",
    "job_kind": f"'{Kind.EXPIRE_ORDER}'",
    "job_key": "CAST(id AS TEXT)",
}
# Each table with its columns and where they come from. What there is once for an order bears the order's id. A new
# order's stream is new as well, so that the position of its event is the version of the order, or nothing is written.
INSERTS = (
    """INSERT INTO recharge_order (id, user_id, card_id, offer_id, organisation_id, member_id, amount_fen, price_fen,
        state, version, refund_state, review_state, review_reason, pay_deadline_at, created_at, updated_at)
    SELECT id, user_id, card_id, offer_id, organisation_id, member_id, amount_fen, price_fen,
        state, version, refund_state, review_state, review_reason, pay_deadline_at, made_at, made_at FROM new""",
    """INSERT INTO idempotency_key (id, user_id, operation, key, input_hash, result_id, created_at)
    SELECT id, user_id, operation, key, input_hash, id, made_at FROM new""",
    """INSERT INTO order_transition (id, order_id, user_id, version, rule, trigger, to_state, actor, reason, request_id,
        occurred_at)
    SELECT id, id, user_id, version, rule, trigger, state, actor, '', request_id, made_at FROM new""",
    "INSERT INTO event_stream (name, position) SELECT stream, version FROM new",
    """INSERT INTO event (stream, position, type, payload, occurred_at)
    SELECT stream, version, event_type, event, made_at FROM new""",
    """INSERT INTO job (id, kind, key, payload, due_at, attempts, created_at)
    SELECT id, job_kind, job_key, job, pay_deadline_at, 0, made_at FROM new""",
)
DERIVED_COLUMNS = ", ".join(f"{value} AS {name}" for name, value in DERIVED.items())
# A user's row that is held by somebody else is not waited for: all the others of the statement would wait as well. The
# limit is for the planner, as in `creation_facts`.
WRITING_POSTGRES = f"""
WITH asked AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($1::text::jsonb) AS asked ({", ".join(f"{k} {v}" for k, v in COLUMNS.items())})
    LIMIT {{limit}}
), held AS MATERIALIZED (
    SELECT asked.id, account.id AS account_id FROM asked JOIN user_account account ON account.id = asked.user_id
    WHERE account.xmin::text = asked.turn FOR NO KEY UPDATE OF account SKIP LOCKED
), turned AS (
    UPDATE user_account SET created_at = created_at FROM held WHERE user_account.id = held.account_id RETURNING held.id
), new AS MATERIALIZED (
    SELECT asked.*, {DERIVED_COLUMNS} FROM asked JOIN turned USING (id)
), {", ".join(f"insert_{number} AS ({each})" for number, each in enumerate(INSERTS))}
SELECT id FROM new
"""  # noqa: S608 -- put together from literals of this file.
WRITE_ONE_POSTGRES, WRITE_POSTGRES = (WRITING_POSTGRES.format(limit=each) for each in (1, AT_ONCE_MAX))
NEW_SQLITE = f"""
WITH asked AS (SELECT {", ".join(f"json_extract(?1, '$.{name}') AS {name}" for name in COLUMNS)}),
new AS (SELECT asked.*, {DERIVED_COLUMNS} FROM asked)
"""  # noqa: S608 -- put together from literals of this file.
WRITES_SQLITE = tuple(NEW_SQLITE + each for each in INSERTS)


@dataclass(slots=True, eq=False)
class NewOrder:
    """One order to be written: `values` are those of COLUMNS."""

    id: UUID
    user_id: UUID
    values: dict[str, Any]


async def write(new: NewOrder) -> bool:
    """Write the order in the current transaction, which holds the user; say whether it still had the turn of its facts.

    Raises IntegrityError.
    """
    connection = Tortoise.get_connection("default")
    text = text_of_json([new.values] if dialect() == "postgres" else new.values)
    after_commit(signals.notify_relays)
    with of_users(new.user_id):
        if dialect() == "postgres":
            return bool(await connection.execute_query_dict(WRITE_ONE_POSTGRES, [text]))
        for statement in WRITES_SQLITE:
            await connection.execute_query(statement, [text])
    return True


async def _write_together(orders: Sequence[NewOrder]) -> list[bool]:
    text = text_of_json([each.values for each in orders])
    statement = WRITE_ONE_POSTGRES if len(orders) == 1 else WRITE_POSTGRES
    with of_users(*(each.user_id for each in orders)):
        written = {row["id"] for row in await write_alone(statement, text)}
    if written:
        # The work that is written with an order is not due yet.
        signals.notify_relays()
    return [each.id in written for each in orders]


# Says whether each order was written. It is in the database for good before anybody hears of it.
together: Joined[NewOrder, bool] = Joined(_write_together, keys_max=AT_ONCE_MAX)


async def alone(order: NewOrder) -> bool:
    (written,) = await to_its_end(_write_together([order]), name="order")
    return written
