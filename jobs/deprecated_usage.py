"""`python -m jobs deprecated-usage`: who still uses what is announced to go, and until when it stays."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from graphql import parse

from domain.usage.queries import deprecated_uses
from jobs.commands import on_database
from jobs.printing import printable
from jobs.tables import table
from schema.types.deprecating import dates_of, deprecations

SDL_PATH = Path(__file__).parent.parent / "schema" / "schema.graphql"
TITLES = ("coordinate", "stays until", "client", "uses", "first", "last")
NOBODY, ANYBODY = "-", "anonymous"


def add_commands(commands: Any) -> None:
    command = commands.add_parser("deprecated-usage", help="show who still uses what is deprecated in the schema")
    command.add_argument("--json", action="store_true", help="one object per client and coordinate")
    command.set_defaults(run=lambda arguments: on_database(lambda: show(as_json=arguments.json)))


async def show(*, as_json: bool, sdl: str | None = None) -> int:
    """Print the counts of the open database; return the exit code.

    What nobody has used is there, too, since that is what may go when its day has come.
    """
    lines = await _lines(SDL_PATH.read_text(encoding="utf-8") if sdl is None else sdl)
    if as_json:
        print(json.dumps([dict(zip(TITLES, line, strict=True)) for line in lines], indent=2))
    elif lines:
        print(table(TITLES, [tuple(map(printable, map(str, line))) for line in lines]))
    else:
        print("nothing is deprecated")
    return 0


async def _lines(sdl: str) -> list[tuple[str, str, str, int, str, str]]:
    days = {coordinate: dates_of(reason) for coordinate, reason in deprecations(parse(sdl)).items()}
    uses = await deprecated_uses()
    lines = [
        (
            each.coordinate,
            _until(days.get(each.coordinate)),
            each.client_id or ANYBODY,
            each.count,
            each.first_used_at.isoformat(timespec="seconds"),
            each.last_used_at.isoformat(timespec="seconds"),
        )
        for each in uses
    ]
    unused = days.keys() - {each.coordinate for each in uses}
    return sorted([*lines, *((name, _until(days[name]), NOBODY, 0, NOBODY, NOBODY) for name in unused)])


def _until(dates: Any) -> str:
    return dates[1].isoformat() if dates else NOBODY
