"""`python -m jobs finance-report` and `close-finance-days`: the day's figures, for people and for spreadsheets."""

from __future__ import annotations

import argparse
import sys
from datetime import date, timedelta

from domain.finance import reports, tables
from domain.finance.figures import Report
from jobs.commands import on_database
from jobs.tables import table
from kernel.clock import business_day, utc_now
from kernel.errors import Locale, YoukaError

DONE, REFUSED = 0, 2
LOCALES: tuple[Locale, ...] = ("zh-CN", "en")


def add_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Register the commands; their code is 2 where nothing was done because of what was asked."""
    command = commands.add_parser("finance-report", help="print the finance report of a business day (Asia/Shanghai)")
    command.add_argument(
        "--day", type=date_of, metavar="DAY", help="such as 2026-05-20; yesterday where it is left out"
    )
    command.add_argument("--csv", action="store_true", help="as CSV for spreadsheets: UTF-8 with a byte order mark")
    command.add_argument("--locale", choices=LOCALES, default=LOCALES[0])
    command.set_defaults(run=lambda given: on_database(lambda: show(given.day, as_csv=given.csv, locale=given.locale)))
    command = commands.add_parser(
        "close-finance-days", help="close the days that are over, as the worker does each night"
    )
    command.set_defaults(run=lambda _given: on_database(close))


def date_of(text: str) -> date:
    """Read a day. Raises ArgumentTypeError, as types of arguments do."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day, such as 2026-05-20") from None


async def show(day: date | None, *, as_csv: bool, locale: Locale) -> int:
    """Print the report of the open database and return the exit code."""
    now = utc_now()
    try:
        found = await reports.report(day=day or business_day(now) - timedelta(days=1), now=now)
    except YoukaError as error:
        print(f"youka: {error.message('en')}", file=sys.stderr)
        return REFUSED
    if as_csv:
        # The bytes are the file; a terminal's own encoding and line ends must not change them.
        sys.stdout.flush()
        sys.stdout.buffer.write(tables.as_csv(found, locale).encode())
        sys.stdout.buffer.flush()
    else:
        print(_told(found, locale))
    return DONE


def _told(found: Report, locale: Locale) -> str:
    title, status = tables.word("title", locale), tables.STATUS_WORDS[found.status][locale]
    lines = [
        (tables.KIND_WORDS[kind][locale], tables.FIGURE_WORDS[name][locale], amount.text)
        for name, kind, amount in found.figures
    ]
    heads = tuple(tables.word(name, locale) for name in ("section", "label", "amount"))
    return f"{title} {found.day.isoformat()}\n{status}, {tables.moment_of(found)}\n{table(heads, lines)}"


async def close() -> int:
    """Close what is over in the open database and return the exit code."""
    now = utc_now()
    while (due_at := await reports.close_days(now=now)) <= now:
        pass
    print(f"every day that is over is closed; the next one is due at {due_at.isoformat(timespec='seconds')}")
    return DONE
