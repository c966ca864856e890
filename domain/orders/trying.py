"""Making an order by one statement: it reads the facts, and writes the order where they are no worse than its room.

The rules have said before how far the facts may go (see `domain.risk.rules.Room`); the statement compares, and returns
what it has found, which is of one moment. A user who has taken a turn since that moment, or has one under way, is left
out without waiting, so that the facts hold when the order is committed. PostgreSQL alone has such statements. Each is a
transaction by itself, for everybody who tries at a time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from domain.account.rules import OwnLimits
from domain.events import signals
from domain.orders.creation_facts import (
    CreationFacts,
    Question,
    facts_for,
    facts_of,
    text_of,
    text_of_day,
    text_of_json,
)
from domain.orders.writing import COLUMNS, INSERTS_POSTGRES, TURN_OF_USER, NewOrder
from domain.risk.rules import Room
from models.changes import of_users
from models.database import to_its_end
from models.joining import Joined
from models.lean_transactions import write_alone

# More than these wait for the next statement.
AT_ONCE_MAX = 20
ASKED = {
    **COLUMNS,
    "number": "int",
    "day": "timestamptz",
    "since": "timestamptz",
    "spent_today_max_fen": "bigint",
    "unpaid_orders_max": "bigint",
    "unreviewed_max_fen": "bigint",
    "own_per_recharge_fen": "bigint",
    "own_per_day_fen": "bigint",
}
# The planner takes such a list for a hundred rows, for which it reads whole tables; and where it does not know the
# limit it makes a plan for each execution, which takes longer than the statement.
TRYING = f"""
WITH asked AS MATERIALIZED (
    SELECT * FROM jsonb_to_recordset($1::text::jsonb) AS asked ({", ".join(f"{k} {v}" for k, v in ASKED.items())})
    LIMIT {{limit}}
), found AS MATERIALIZED (
{facts_for("asked", besides=", asked.number, asked.user_id")}
), fit AS MATERIALIZED (
    SELECT asked.id, asked.user_id, found.turn FROM asked JOIN found ON found.number = asked.number
    WHERE found.input_hash IS NULL AND found.card_user_id = asked.user_id AND found.organisation_id IS NULL
    AND found.spent_today_fen <= asked.spent_today_max_fen AND found.unpaid_orders <= asked.unpaid_orders_max
    AND (asked.unreviewed_max_fen IS NULL
        OR GREATEST(found.unreviewed_of_user_fen, found.unreviewed_of_card_fen) <= asked.unreviewed_max_fen)
    AND found.per_recharge_fen IS NOT DISTINCT FROM asked.own_per_recharge_fen
    AND found.per_day_fen IS NOT DISTINCT FROM asked.own_per_day_fen
), {TURN_OF_USER.format(asked="fit")}, {INSERTS_POSTGRES}
SELECT found.*, turned.id IS NOT NULL AS written
FROM found JOIN asked ON asked.number = found.number LEFT JOIN turned ON turned.id = asked.id ORDER BY found.number
"""  # noqa: S608 -- put together from literals of these files.
TRY_ONE, TRY = (TRYING.format(limit=each) for each in (1, AT_ONCE_MAX))


class Tried(NamedTuple):
    """What was found, and whether the order was written."""

    found: CreationFacts
    written: bool


@dataclass(slots=True, eq=False)
class Trying:
    """An order that is to be written where its facts are no worse than `room`, and the user's own limits are `own`."""

    question: Question
    new: NewOrder
    room: Room
    own: OwnLimits


async def _try_together(orders: Sequence[Trying]) -> list[Tried]:
    text = text_of_json([_asked(number, each) for number, each in enumerate(orders)])
    statement = TRY_ONE if len(orders) == 1 else TRY
    with of_users(*(each.new.user_id for each in orders)):
        rows = await write_alone(statement, text)
    tried = [Tried(facts_of(row), row["written"]) for row in rows]
    if any(each.written for each in tried):
        # The work that is written with an order is not due yet.
        signals.notify_relays()
    return tried


def _asked(number: int, order: Trying) -> dict[str, object]:
    question, room, own = order.question, order.room, order.own
    return {
        **order.new.values,
        "number": number,
        "day": text_of_day(question.day),
        "since": text_of(question.since),
        "spent_today_max_fen": room.spent_today_max_fen,
        "unpaid_orders_max": room.unpaid_orders_max,
        "unreviewed_max_fen": room.unreviewed_max_fen,
        "own_per_recharge_fen": own.per_recharge_fen,
        "own_per_day_fen": own.per_day_fen,
    }


# Says what was found, and whether the order was written. It is in the database for good before anybody hears of it.
together: Joined[Trying, Tried] = Joined(_try_together, keys_max=AT_ONCE_MAX)


async def alone(order: Trying) -> Tried:
    (tried,) = await to_its_end(_try_together([order]), name="order")
    return tried
