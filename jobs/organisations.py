"""`python -m jobs organisation`: what whoever runs the service does about an enterprise customer."""

from __future__ import annotations

import argparse
import getpass

from domain.organisations import operations
from jobs.commands import refusable
from kernel.clock import utc_now

DONE = 0
SUSPEND, RESUME = "suspend", "resume"


def add_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    command = subparsers.add_parser("organisation", help="suspend an enterprise customer, or let it go on")
    command.add_argument("step", choices=[SUSPEND, RESUME])
    command.add_argument("code", metavar="CODE", help="its unified social credit code")
    command.add_argument("--reason", required=True, help="why; its members read it in their log")
    command.set_defaults(run=turn)


def turn(given: argparse.Namespace) -> int:
    """Return 0, or 2 where there is no such organisation or the reason is none; it says which."""

    async def work() -> int:
        organisation = await operations.set_suspended(
            credit_code=given.code,
            suspended=given.step == SUSPEND,
            reason=given.reason,
            actor=f"operator:{getpass.getuser()}",
            now=utc_now(),
        )
        print(f"{organisation.credit_code} is {organisation.state.lower()}")
        return DONE

    return refusable(work)
