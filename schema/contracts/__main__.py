"""`python -m schema.contracts` compares the SDL with the released one, and fails where the users of that would break.

`--release` takes the SDL as the released one of the project's version; it refuses what breaks, unless `--breaking` says
that this is meant.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from kernel.clock import business_day, utc_now
from schema.contracts.changes import Change, changes, undated
from schema.contracts.released import CURRENT_PATH, FOLDER, NotOneRelease, project_version, release, released_path

HELP = "Announce it with `deprecation` and wait, or say `python -m schema.contracts --release --breaking`."


def main(arguments: Sequence[str] | None = None, *, today: date | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m schema.contracts", description="What the schema has promised.")
    parser.add_argument("--release", action="store_true", help="take the present SDL as the released one")
    parser.add_argument("--breaking", action="store_true", help="also where it breaks whoever uses the one before")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="where the released SDL is")
    parser.add_argument("--sdl", type=Path, default=CURRENT_PATH, help="the SDL that is compared")
    given = parser.parse_args(arguments)
    today = today or business_day(utc_now())
    current = given.sdl.read_text(encoding="utf-8")
    try:
        found = compared(given.folder, current, today=today)
    except NotOneRelease as error:
        if not given.release or list(given.folder.glob("*.graphql")):
            print(error)
            return 1
        found = undated(current)
    for each in found:
        print(f"{'breaks' if each.breaking else 'may break'}  {each.coordinate}: {each.reason}")
    refused = any(each.breaking for each in found) and not given.breaking
    if refused:
        print(HELP)
    elif given.release:
        print(release(given.folder, current, version=project_version(), today=today))
    return 1 if refused else 0


def compared(folder: Path, current: str, *, today: date) -> list[Change]:
    """Return what is wrong with the SDL for users of the released one. Raises NotOneRelease."""
    return [*undated(current), *changes(released_path(folder).read_text(encoding="utf-8"), current, today=today)]


if __name__ == "__main__":
    sys.exit(main())
