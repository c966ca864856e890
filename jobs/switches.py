"""`python -m jobs switch` and `switches`: what whoever runs the service turns on and off, without a client."""

from __future__ import annotations

import argparse
import getpass
from datetime import datetime

from domain.switches import operations, queries
from jobs.commands import on_database, refusable
from jobs.printing import printable
from kernel.clock import utc_now
from kernel.states import Switch

DONE = 0
ON, OFF = "on", "off"
OFFSET = "a time with an offset, such as 2026-05-01T00:00:00+08:00"


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = subparsers.add_parser("switch", help="turn a switch: maintenance, simplified pages, hidden marketing")
    command.add_argument("name", type=_switch, metavar="NAME", help=", ".join(_name(each) for each in Switch))
    command.add_argument("position", choices=[ON, OFF])
    command.add_argument("--reason", required=True, help="why; it is kept")
    command.add_argument("--notice", help="what users shall be told while it is on")
    command.add_argument("--until", type=_moment, metavar="TIME", help="when it should be over, for users (RFC 3339)")
    command.set_defaults(run=turn)

    command = subparsers.add_parser("switches", help="print how the switches stand, and who turned them why")
    command.set_defaults(run=lambda _arguments: on_database(_show))


def turn(given: argparse.Namespace) -> int:
    """Return 0, or 2 where the turn is refused; it says why."""

    async def work() -> int:
        change = await operations.turn(
            switch=given.name,
            on=given.position == ON,
            reason=given.reason,
            notice=given.notice,
            until=given.until,
            actor=f"operator:{getpass.getuser()}"[:96],
            now=utc_now(),
        )
        print(f"{_name(change.switch)} is {ON if change.on else OFF}")
        return DONE

    return refusable(work)


async def _show() -> int:
    changes = await queries.last_changes()
    for switch in Switch:
        change = changes.get(switch)
        if change is None:
            print(f"{_name(switch):<18} off  never turned")
            continue
        when = change.changed_at.isoformat(timespec="seconds")
        until = f"  until {change.until.isoformat(timespec='seconds')}" if change.until else ""
        why = printable(change.reason, length_max=operations.REASON_LENGTH_MAX)
        print(f"{_name(switch):<18} {ON if change.on else OFF:<3}  {when}  {change.changed_by}  {why}{until}")
    return DONE


def _name(switch: Switch) -> str:
    return switch.value.lower().replace("_", "-")


def _switch(text: str) -> Switch:
    try:
        return Switch(text.upper().replace("-", "_"))
    except ValueError:
        known = ", ".join(_name(each) for each in Switch)
        raise argparse.ArgumentTypeError(f"{text!r} is none of {known}") from None


def _moment(text: str) -> datetime:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not {OFFSET}") from None
    if moment.tzinfo is None:
        raise argparse.ArgumentTypeError(f"{text!r} is not {OFFSET}")
    return moment
