"""What the rules look at before an order is made, read in one statement for everybody who asks at a time.

The facts hold while the order's user has not taken another turn (see `domain.identity.queries.lock_user`): `turn` is
PostgreSQL's own mark of the last change of the user's row, and whoever writes the order compares it. SQLite reads and
writes in one transaction, which is alone from its beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from uuid import UUID

import orjson

from domain.account.rules import OwnLimits
from domain.risk.rules import Facts
from kernel.states import CardBrand
from models.joining import Joined
from models.lean import Row, Statement, fetch, read_uuid

SPENT = "mine.user_id = asked.user_id AND mine.state <> 'FAILED'"
# The same card may be bound by several users; its digest finds it with all of them.
# The order is there for the planner: the index that has it is that of the user, and not the one of all unpaid orders.
UNPAID = " UNION ALL ".join(
    "SELECT * FROM (SELECT mine.id FROM recharge_order mine "  # noqa: S608 -- put together from literals of this file.
    f"WHERE mine.user_id = asked.user_id AND mine.state = '{state}' ORDER BY mine.id) {state.lower()}"
    for state in ("PENDING_PAYMENT", "PAYING")
)
FACTS = f"""
SELECT known.input_hash, known.result_id,
    card.user_id AS card_user_id, card.organisation_id, card.brand, card.number_tail,
    own.per_recharge_fen, own.per_day_fen,
    (SELECT COALESCE(SUM(mine.amount_fen), 0) FROM recharge_order mine
        WHERE {SPENT} AND mine.created_at >= asked.day) AS spent_today_fen,
    (SELECT COUNT(*) FROM ({{unpaid}}) unpaid) AS unpaid_orders,
    (SELECT COALESCE(SUM(mine.amount_fen), 0) FROM recharge_order mine
        WHERE {SPENT} AND mine.created_at > asked.since AND mine.review_state = 'NONE') AS unreviewed_of_user_fen,
    (SELECT COALESCE(SUM(other.amount_fen), 0) FROM fuel_card twin JOIN recharge_order other ON other.card_id = twin.id
        WHERE twin.number_digest = card.number_digest AND other.created_at > asked.since
        AND other.state <> 'FAILED' AND other.review_state = 'NONE') AS unreviewed_of_card_fen,
    {{turn}} AS turn
FROM {{asked}}
LEFT JOIN user_account account ON account.id = asked.user_id
LEFT JOIN idempotency_key known
    ON known.user_id = asked.user_id AND known.operation = asked.operation AND known.key = asked.key
LEFT JOIN fuel_card card ON card.id = asked.card_id AND card.unbound_at IS NULL
LEFT JOIN spending_limits own ON own.user_id = asked.user_id
ORDER BY asked.number
"""  # noqa: S608 -- put together from literals of this file.
# The planner takes such a list for a hundred rows, for which it reads whole tables; and where it does not know the
# limit it makes a plan for each execution, which takes longer than the statement.
ASKED_POSTGRES = """(
    SELECT * FROM jsonb_to_recordset($1::text::jsonb) AS asked (
        number int, user_id uuid, card_id uuid, operation text, key text, day timestamptz, since timestamptz
    ) LIMIT {limit}
) AS asked"""
ASKED_SQLITE = """(
    SELECT key AS number, json_extract(value, '$.user_id') AS user_id, json_extract(value, '$.card_id') AS card_id,
        json_extract(value, '$.operation') AS operation, json_extract(value, '$.key') AS key,
        json_extract(value, '$.day') AS day, json_extract(value, '$.since') AS since
    FROM json_each(?1) LIMIT {limit}
) AS asked"""
# More than these wait for the next statement.
AT_ONCE_MAX = 20


def _reading(limit: int) -> Statement:
    return Statement(
        postgres=FACTS.format(asked=ASKED_POSTGRES.format(limit=limit), unpaid=UNPAID, turn="account.xmin::text"),
        sqlite=FACTS.format(asked=ASKED_SQLITE.format(limit=limit), unpaid=UNPAID, turn="''"),
    )


READ_ONE, READ = _reading(1), _reading(AT_ONCE_MAX)


@dataclass(frozen=True, slots=True)
class Question:
    """Who wants to recharge which card, under which key; `day` is when today began, `since` the window for splits."""

    user_id: UUID
    card_id: UUID | None
    operation: str
    key: str
    day: datetime
    since: datetime


@dataclass(frozen=True, slots=True)
class CardFacts:
    """A card that is bound. Whether the viewer may recharge it is for whoever asks to say."""

    user_id: UUID
    organisation_id: UUID | None
    brand: CardBrand


@dataclass(frozen=True, slots=True)
class Known:
    """What the key was used for before."""

    input_hash: str
    result_id: UUID


@dataclass(frozen=True, slots=True)
class CreationFacts:
    """`turn` is empty where there is no such user."""

    turn: str
    known: Known | None
    card: CardFacts | None
    own: OwnLimits
    risk: Facts


async def read(questions: Sequence[Question]) -> list[CreationFacts]:
    """Return the facts for each question, in their order and as of one moment. There are up to AT_ONCE_MAX."""
    assert len(questions) <= AT_ONCE_MAX
    asked = [
        {
            "number": number,
            "user_id": each.user_id,
            "card_id": each.card_id,
            "operation": each.operation,
            "key": each.key,
            "day": text_of(each.day),
            "since": text_of(each.since),
        }
        for number, each in enumerate(questions)
    ]
    statement = READ_ONE if len(asked) == 1 else READ
    return [_facts(row) for row in await fetch(statement, text_of_json(asked))]


# Who asks beside others is answered with them.
together: Joined[Question, CreationFacts] = Joined(read, keys_max=AT_ONCE_MAX)


async def alone(question: Question) -> CreationFacts:
    (found,) = await read([question])
    return found


def text_of(moment: datetime) -> str:
    """Return a moment as SQLite keeps it; PostgreSQL reads that as well."""
    return moment.astimezone(UTC).isoformat(" ")


def text_of_json(value: object) -> str:
    # The driver of PostgreSQL has a kind of UUID of its own.
    return orjson.dumps(value, default=str).decode()


def _facts(row: Row) -> CreationFacts:
    input_hash, brand = row["input_hash"], row["brand"]
    return CreationFacts(
        turn=row["turn"] or "",
        known=Known(input_hash, read_uuid(row["result_id"])) if input_hash is not None else None,
        card=CardFacts(read_uuid(row["card_user_id"]), _uuid_or_none(row["organisation_id"]), CardBrand(brand))
        if brand is not None
        else None,
        own=OwnLimits(row["per_recharge_fen"], row["per_day_fen"]),
        risk=Facts(
            spent_today_fen=int(row["spent_today_fen"]),
            unpaid_orders=row["unpaid_orders"],
            unreviewed_fen=int(max(row["unreviewed_of_user_fen"], row["unreviewed_of_card_fen"])),
        ),
    )


def _uuid_or_none(value: object) -> UUID | None:
    return read_uuid(value) if value is not None else None
