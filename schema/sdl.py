"""The committed SDL: `python -m schema.sdl` writes it, `--check` fails with a diff where it is out of date.

There is the whole of it, and what partners see of it.
"""

from __future__ import annotations

import difflib
import sys
from pathlib import Path

from domain.access.rules import POSSIBLE_SCOPES
from kernel.states import ClientKind
from schema.contracts.partner import partner_sdl
from schema.root import build

PATH = Path(__file__).with_name("schema.graphql")
PARTNER_PATH = Path(__file__).with_name("partner.graphql")


def main(arguments: list[str]) -> int:
    whole = build().as_str().strip() + "\n"
    partner = partner_sdl(whole, POSSIBLE_SCOPES[ClientKind.PARTNER])
    outdated = False
    for path, current in ((PATH, whole), (PARTNER_PATH, partner)):
        if "--check" not in arguments:
            path.write_text(current, encoding="utf-8")
        else:
            outdated = _differs(path, current) or outdated
    return 1 if outdated else 0


def _differs(path: Path, current: str) -> bool:
    committed = path.read_text(encoding="utf-8") if path.exists() else ""
    difference = list(
        difflib.unified_diff(committed.splitlines(True), current.splitlines(True), "committed", "current")
    )
    sys.stdout.writelines(difference)
    if difference:
        print(f"schema/{path.name} is out of date; run `make sdl` and commit it")
    return bool(difference)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
