"""What the rules look at before an order is made, read in one statement for everybody who asks at a time.

The facts hold while the order's user has not taken another turn (see `domain.identity.queries.lock_user`): `turn` is
PostgreSQL's own mark of the last change of the user's row, and whoever writes the order compares it. SQLite reads and
writes in one transaction, which is alone from its beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import NamedTuple
from uuid import UUID

import orjson

from domain.account.rules import OwnLimits
from domain.cards.facts import BRANDS, CardFacts
from domain.risk.rules import Facts
from models.joining import Joined
from models.lean import Row, Statement, fetch, read_uuid
from models.moments import read_kept, read_kept_or_none, shown

MOMENTS = ("card.created_at", "card.checked_at")
SPENT = "mine.user_id = asked.user_id AND mine.state <> 'FAILED'"
# PostgreSQL's own sum of large integers is no integer.
TOTAL = "CAST(COALESCE(SUM(amount_fen), 0) AS BIGINT)"
# Each state by itself is looked up by the index of the user and the state. Where both stand in a condition, the planner
# takes them for rare and reads everybody's unpaid orders; and where they are joined, all orders of the user.
UNPAID = """
    SELECT CAST(SUM((
        SELECT COUNT(*) FROM recharge_order mine WHERE mine.user_id = asked.user_id AND mine.state = unpaid.column1
    )) AS BIGINT) FROM (VALUES ('PENDING_PAYMENT'), ('PAYING')) unpaid
"""
# The same card may be bound by several users; its digest finds it with all of them.
FACTS = f"""
SELECT known.input_hash, known.result_id,
    card.id, card.user_id AS card_user_id, card.organisation_id, card.brand, card.number_tail, {{moments}},
    own.per_recharge_fen, own.per_day_fen,
    (SELECT {TOTAL} FROM recharge_order mine
        WHERE {SPENT} AND mine.created_at >= asked.day) AS spent_today_fen,
    ({UNPAID}) AS unpaid_orders,
    (SELECT {TOTAL} FROM recharge_order mine
        WHERE {SPENT} AND mine.created_at > asked.since AND mine.review_state = 'NONE') AS unreviewed_of_user_fen,
    (SELECT {TOTAL} FROM fuel_card twin JOIN recharge_order other ON other.card_id = twin.id
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
SHOWN, KEPT = ", ".join(map(shown, MOMENTS)), ", ".join(MOMENTS)
# More than these wait for the next statement.
AT_ONCE_MAX = 20
# Who asks alone gives each value by itself, which costs less than a list of one.
ONE_POSTGRES = """(
    SELECT 0 AS number, $1::uuid AS user_id, $2::uuid AS card_id, $3::text AS operation, $4::text AS key,
        $5::timestamptz AS day, $6::timestamptz AS since
) AS asked"""
ONE_SQLITE = """(
    SELECT 0 AS number, ?1 AS user_id, ?2 AS card_id, ?3 AS operation, ?4 AS key, ?5 AS day, ?6 AS since
) AS asked"""
# The planner takes such a list for a hundred rows, for which it reads whole tables; and where it does not know the
# limit it makes a plan for each execution, which takes longer than the statement.
SEVERAL_POSTGRES = f"""(
    SELECT * FROM jsonb_to_recordset($1::text::jsonb) AS asked (
        number int, user_id uuid, card_id uuid, operation text, key text, day timestamptz, since timestamptz
    ) LIMIT {AT_ONCE_MAX}
) AS asked"""  # noqa: S608 -- a number of our own.
SEVERAL_SQLITE = f"""(
    SELECT key AS number, json_extract(value, '$.user_id') AS user_id, json_extract(value, '$.card_id') AS card_id,
        json_extract(value, '$.operation') AS operation, json_extract(value, '$.key') AS key,
        json_extract(value, '$.day') AS day, json_extract(value, '$.since') AS since
    FROM json_each(?1) LIMIT {AT_ONCE_MAX}
) AS asked"""  # noqa: S608 -- a number of our own.


def _reading(postgres: str, sqlite: str) -> Statement:
    return Statement(
        postgres=FACTS.format(asked=postgres, moments=SHOWN, turn="account.xmin::text"),
        sqlite=FACTS.format(asked=sqlite, moments=KEPT, turn="''"),
    )


READ_ONE, READ = _reading(ONE_POSTGRES, ONE_SQLITE), _reading(SEVERAL_POSTGRES, SEVERAL_SQLITE)


@dataclass(slots=True, eq=False)
class Question:
    """Who wants to recharge which card, under which key; `day` is when today began, `since` the window for splits.

    No two are compared, since each is answered for itself.
    """

    user_id: UUID
    card_id: UUID | None
    operation: str
    key: str
    day: datetime
    since: datetime


class BoundCard(NamedTuple):
    """A card that is bound, and by whom. Whether the viewer may recharge it is for whoever asks to say."""

    user_id: UUID
    facts: CardFacts

    @property
    def organisation_id(self) -> UUID | None:
        return self.facts.organisation_id


class Known(NamedTuple):
    """What the key was used for before."""

    input_hash: str
    result_id: UUID


class CreationFacts(NamedTuple):
    """`turn` is empty where there is no such user."""

    turn: str
    known: Known | None
    card: BoundCard | None
    own: OwnLimits
    risk: Facts


async def read(questions: Sequence[Question]) -> list[CreationFacts]:
    """Return the facts for each question, in their order and as of one moment. There are up to AT_ONCE_MAX."""
    assert len(questions) <= AT_ONCE_MAX
    if len(questions) == 1:
        (one,) = questions
        rows = await fetch(READ_ONE, one.user_id, one.card_id, one.operation, one.key, one.day, one.since)
        return [_facts(row) for row in rows]
    asked = [
        {
            "number": number,
            "user_id": each.user_id,
            "card_id": each.card_id,
            "operation": each.operation,
            "key": each.key,
            "day": _text_of_day(each.day),
            "since": text_of(each.since),
        }
        for number, each in enumerate(questions)
    ]
    return [_facts(row) for row in await fetch(READ, text_of_json(asked))]


# Who asks beside others is answered with them.
together: Joined[Question, CreationFacts] = Joined(read, keys_max=AT_ONCE_MAX)


async def alone(question: Question) -> CreationFacts:
    (found,) = await read([question])
    return found


def text_of(moment: datetime) -> str:
    """Return a moment as SQLite keeps it; PostgreSQL reads that as well."""
    return moment.astimezone(UTC).isoformat(" ")


# It is the same day for everybody, and all day long.
_text_of_day = lru_cache(maxsize=8)(text_of)


def text_of_json(value: object) -> str:
    # The driver of PostgreSQL has a kind of UUID of its own.
    return orjson.dumps(value, default=str).decode()


def _facts(row: Row) -> CreationFacts:
    (
        input_hash, result_id, card_id, card_user_id, organisation_id, brand, tail, created_at, checked_at,
        per_recharge_fen, per_day_fen, spent_today_fen, unpaid_orders, of_user_fen, of_card_fen, turn,
    ) = row  # fmt: skip
    card = None
    if card_id is not None:
        if isinstance(card_id, str):
            created_at, checked_at = read_kept(created_at), read_kept_or_none(checked_at)
        organisation = read_uuid(organisation_id) if organisation_id is not None else None
        facts = CardFacts(read_uuid(card_id), BRANDS[brand], tail, created_at, checked_at, organisation, None)
        card = BoundCard(read_uuid(card_user_id), facts)
    return CreationFacts(
        turn=turn or "",
        known=Known(input_hash, read_uuid(result_id)) if input_hash is not None else None,
        card=card,
        own=OwnLimits(per_recharge_fen, per_day_fen),
        risk=Facts(spent_today_fen, unpaid_orders, max(of_user_fen, of_card_fen)),
    )
