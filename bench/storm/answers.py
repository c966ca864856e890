"""What an answer says: done, refused, broken or none at all; and whether it tells what nobody should be told."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

# Words of drivers, of the database and of the machine. Answers speak of cards, orders and payments, in two languages.
TELLTALES = re.compile(
    r"""
    asyncpg | psycopg | sqlite | aiosqlite | libpq | postgres | tortoise | pypika | sqlstate | hiredis | redis
    | \b(connection|socket|errno|broken\ pipe|timed?\ ?out|timeout(error)?|deadlock|could\ not\ (connect|obtain))\b
    | \b(server\ closed|terminating|administrator\ command|shutting\ down|starting\ up|recovery\ mode)\b
    | \b(too\ many\ clients|pool|duplicate\ key|syntax\ error|does\ not\ exist)\b
    | \b(relation|table|column|constraint)\ \\?"
    | \b(select\ .+\ from|insert\ into|update\ .+\ set|delete\ from|begin|commit|rollback|savepoint|isolation)\b
    | \b(operationalerror|integrityerror|interfaceerror|dbconnectionerror|transactionmanagementerror|oserror)\b
    | traceback | \.py\b | \bline\ \d+ | exception\b | 127\.0\.0\.1 | localhost | \bport\b
    """,
    re.IGNORECASE | re.VERBOSE,
)


class Outcome(StrEnum):
    DONE = "done"
    REFUSED = "refused"  # A typed error: the service has understood, and says no.
    BROKEN = "broken"  # A masked error: something inside went wrong, and the same request may be sent again.
    SILENT = "silent"  # No answer at all.


@dataclass(frozen=True, slots=True)
class Answer:
    """`began_at` and `ended_at` are seconds of the monotonic clock."""

    outcome: Outcome
    server: int
    began_at: float
    ended_at: float
    code: str = ""
    field: dict[str, Any] | None = None


def read(body: bytes) -> tuple[Outcome, str, dict[str, Any] | None]:
    """Return the outcome, the code of the error if there is one, and the payload of the one field."""
    try:
        document = orjson.loads(body)
        if errors := document.get("errors"):
            return Outcome.BROKEN, str(errors[0].get("extensions", {}).get("code", "")), None
        (payload,) = document["data"].values()
    except (ValueError, KeyError, AttributeError, TypeError, IndexError):
        return Outcome.BROKEN, "NOT_GRAPHQL", None
    if isinstance(payload, dict) and "code" in payload:
        return Outcome.REFUSED, str(payload["code"]), None
    return Outcome.DONE, "", payload


def telltale(body: bytes) -> str | None:
    """Return the first words of an answer that only a driver, a database or a machine would say."""
    found = TELLTALES.search(body.decode("utf-8", errors="replace"))
    return found.group() if found else None
