"""Writing down what people who work here do, in the transaction that does it: without the record nothing happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol, TypeVar
from uuid import UUID

import structlog
from tortoise import Tortoise
from tortoise.models import Model

from domain.actions.rules import GENESIS, digest_of, picture
from kernel.ids import new_id
from kernel.states import StaffRole
from kernel.tasks import inside_transaction
from models.database import dialect, transactional
from models.staff_actions import StaffAction

ACTOR_LENGTH_MAX = 96
REASON_LENGTH_MAX = 256
REQUEST_ID_LENGTH_MAX = 64
OBJECT_ID_LENGTH_MAX = 96
# One number for the whole database: whoever holds it writes the next row. It is taken last of all locks.
CHAIN_LOCK = 7_301_953_116
# What is written down about work without what it holds, which may be what nobody could read.
UNREAD_COLUMNS = frozenset({"payload"})

T = TypeVar("T")


class ActionOutsideTransaction(RuntimeError):
    """An action and its record are committed together, or neither is."""


class Acting(Protocol):
    """Who acts: a member of staff as `domain.identity.staff` lets them in, or an `Operator`."""

    @property
    def actor(self) -> str: ...

    @property
    def roles(self) -> frozenset[StaffRole]: ...


@dataclass(frozen=True, slots=True)
class Operator:
    """Somebody with a shell on a machine of the service, as the command knows them."""

    name: str
    roles: frozenset[StaffRole] = frozenset()

    @property
    def actor(self) -> str:
        return f"operator:{self.name}"[:ACTOR_LENGTH_MAX]


@dataclass(frozen=True, slots=True)
class Subject:
    """What an action is about: the name of its type in the schema, and its id."""

    kind: str
    id: UUID | str


async def record(
    *,
    actor: str,
    roles: Collection[StaffRole],
    action: str,
    subject: Subject,
    reason: str = "",
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
    now: datetime,
) -> None:
    """Write one action down; `action` is the name of the mutation, query or command.

    `before` and `after` are the object's columns, masked here; None where there was or is no object. Call this last in
    the transaction, behind events and postings: all records take turns, so whoever went on to lock something else
    could wait in a circle. Raises ActionOutsideTransaction.
    """
    if not inside_transaction.get():
        raise ActionOutsideTransaction(action)
    if dialect() == "postgres":
        # A transaction of SQLite is alone from its beginning.
        await Tortoise.get_connection("default").execute_query("SELECT pg_advisory_xact_lock($1)", [CHAIN_LOCK])
    last = await StaffAction.all().order_by("-position").first().values("position", "digest")
    previous = last["digest"] if last else GENESIS
    row: dict[str, Any] = {
        "position": last["position"] + 1 if last else 1,
        "actor": actor[:ACTOR_LENGTH_MAX],
        "roles": ",".join(sorted(role.value for role in roles)),
        "action": action,
        "object_type": subject.kind,
        "object_id": str(subject.id)[:OBJECT_ID_LENGTH_MAX],
        "reason": picture({"reason": reason.strip()})["reason"][:REASON_LENGTH_MAX],
        "before": None if before is None else picture(before),
        "after": None if after is None else picture(after),
        "request_id": str(structlog.contextvars.get_contextvars().get("request_id", ""))[:REQUEST_ID_LENGTH_MAX],
        "occurred_at": now.astimezone(UTC),
    }
    await StaffAction.create(id=new_id(), **row, previous_digest=previous, digest=digest_of(row, previous=previous))


@asynccontextmanager
async def acting(
    who: Acting, action: str, row: Model, *, kind: str = "", reason: str, now: datetime
) -> AsyncIterator[None]:
    """Write down what the block does with a row: how the row was before, and how the database has it afterwards.

    The subject is the row's type in the schema, `kind`, or its class. Raises ActionOutsideTransaction.
    """
    before = columns_of(row)
    yield
    after = columns_of(await type(row).get(pk=row.pk))
    await record(
        actor=who.actor,
        roles=who.roles,
        action=action,
        subject=Subject(kind or type(row).__name__, row.pk),
        reason=reason,
        before=before,
        after=after,
        now=now,
    )


def columns_of(row: Model) -> dict[str, Any]:
    """Return the columns of a row by their names in the table, but for work's payload."""
    names = [name for name in type(row)._meta.fields_db_projection if name not in UNREAD_COLUMNS]
    return {name: getattr(row, name) for name in names}


@transactional
async def looked(*, who: Acting, action: str, subject: Subject, seen: Mapping[str, Any], now: datetime) -> None:
    """Write down that somebody is about to see what concerns a person, or to be given something; `seen` is what they
    asked for and how much of it they get. Call it before anything is shown."""
    await record(actor=who.actor, roles=who.roles, action=action, subject=subject, after=seen, now=now)


@transactional
async def recorded(
    work: Callable[[], Awaitable[T]],
    *,
    who: Acting,
    action: str,
    subject: Subject,
    reason: str = "",
    before: Mapping[str, Any] | None = None,
    after: Callable[[T], Mapping[str, Any] | None] = lambda _result: None,
    now: datetime,
) -> T:
    """Do the work and write it down in one transaction; `after` says of its result what the object is then.

    For commands, whose work is one call of the domain. The work must not wait for a third party.
    """
    result = await work()
    await record(
        actor=who.actor,
        roles=who.roles,
        action=action,
        subject=subject,
        reason=reason,
        before=before,
        after=after(result),
        now=now,
    )
    return result
