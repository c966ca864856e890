"""Who runs a command, and the record of what they do with it."""

from __future__ import annotations

import argparse
import getpass
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeVar
from uuid import UUID

from domain.actions import queries
from domain.actions.queries import Wanted
from domain.actions.recording import Operator, Subject, looked, recorded
from jobs.commands import on_database
from jobs.printing import printable
from kernel.clock import utc_now
from kernel.states import StaffRole

T = TypeVar("T")

DONE, BROKEN = 0, 1
ACTIONS_SHOWN_MAX = 50


def operator() -> Operator:
    """Return whoever runs this command, as the machine knows them."""
    return Operator(getpass.getuser())


async def on_record(
    work: Callable[[], Awaitable[T]],
    action: str,
    kind: str,
    key: UUID | str,
    *,
    by: str | None = None,
    reason: str = "",
    before: Mapping[str, Any] | None = None,
    after: Callable[[T], Mapping[str, Any] | None] = lambda _result: None,
) -> T:
    """Do a command's one call of the domain and write it down in the same transaction: what was done, to which kind of
    object and which one, by whoever runs the command or by somebody whom it names."""
    return await recorded(
        work,
        who=Operator(by) if by else operator(),
        action=action,
        subject=Subject(kind, key),
        reason=reason,
        before=before,
        after=after,
        now=utc_now(),
    )


async def on_look(action: str, kind: str, key: UUID | str, **seen: Any) -> None:
    """Write down that whoever runs the command is about to see something, or to be given it."""
    await looked(who=operator(), action=action, subject=Subject(kind, key), seen=seen, now=utc_now())


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = commands.add_parser("audit-staff", help="prove that the record of what staff do is whole")
    command.set_defaults(run=lambda _given: on_database(audit))
    command = commands.add_parser("staff-actions", help="print what staff have done and looked at, newest first")
    command.add_argument("--actor", help="only of somebody, such as staff:01a2… or operator:li.na")
    command.add_argument("--action", help="only of one kind, such as reviewOrder")
    command.set_defaults(run=lambda given: on_database(lambda: show(given.actor, given.action)))


async def audit() -> int:
    """Print where the open database's record was changed. Return 1 where it was, otherwise 0."""
    broken = await queries.broken_links()
    for position in broken:
        print(f"youka: the record is broken at position {position}", file=sys.stderr)
    if broken:
        return BROKEN
    last = await queries.last()
    print(f"{last.position} actions, whole up to {last.digest}" if last else "nobody has done anything yet")
    return DONE


async def show(actor: str | None, action: str | None) -> int:
    """Print the newest actions of the open database and return the exit code."""
    everything = Operator(operator().name, frozenset({StaffRole.AUDITOR}))
    rows = await queries.listed(
        staff=everything, wanted=Wanted(actor=actor, action=action), first=ACTIONS_SHOWN_MAX, after=None
    )
    for row in rows:
        when = row.occurred_at.isoformat(timespec="seconds")
        what = f"{row.action} {row.object_type} {row.object_id}"
        print(f"{row.position:>6}  {when}  {printable(row.actor)}  {printable(what)}  {printable(row.reason)}")
    return DONE
