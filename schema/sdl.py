"""The committed SDL: `python -m schema.sdl` writes it, `--check` fails with a diff where it is out of date."""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

from schema.root import build

PATH = Path(__file__).with_name("schema.graphql")


def main(arguments: list[str]) -> int:
    current = build().as_str().strip() + "\n"
    if "--check" not in arguments:
        PATH.write_text(current, encoding="utf-8")
        return 0
    committed = PATH.read_text(encoding="utf-8") if PATH.exists() else ""
    difference = list(
        difflib.unified_diff(committed.splitlines(True), current.splitlines(True), "committed", "current")
    )
    sys.stdout.writelines(difference)
    if difference:
        print("schema/schema.graphql is out of date; run `make sdl` and commit it")
    return 1 if difference else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
