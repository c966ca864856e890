"""The documentation has every code of the gateway, and no other."""

from __future__ import annotations

import re
from itertools import chain
from pathlib import Path

from schema.extensions.limits import Limits
from tests.house_process import ROOT

SOURCES = chain(
    (ROOT / "subscriptions").glob("*.py"),
    (ROOT / "schema" / "extensions").glob("*.py"),
    [
        ROOT / "domain" / "identity" / "tokens.py",
        ROOT / "resolvers" / "nodes.py",
        ROOT / "schema" / "types" / "context.py",
    ],
)
CODE = re.compile(r'"([A-Z]+(?:_[A-Z]+)+|INTERNAL|UNAUTHENTICATED)"')
# A limit's name, and the reason of a webhook that is paused, which its owner reads in the schema.
OTHERS = {"VARIABLES_BYTES", "PAYLOAD_TOO_LARGE"}
DOCUMENT = ROOT / "docs" / "http.md"


def section(name: str) -> str:
    return DOCUMENT.read_text(encoding="utf-8").partition(f"\n## {name}\n")[2].partition("\n## ")[0]


def first_cells(text: str) -> set[str]:
    cells = (line.split("|")[1] for line in text.splitlines() if line.startswith("| `"))
    return {name for cell in cells for name in re.findall(r"`(\w+)`", cell)}


def codes_in(path: Path) -> set[str]:
    return set(CODE.findall(path.read_text(encoding="utf-8")))


def test_every_code_is_documented() -> None:
    assert first_cells(section("Codes")) == set().union(*map(codes_in, SOURCES)) - OTHERS


def test_every_limit_is_documented() -> None:
    limits = {name.upper() for name in Limits.__slots__} - {"INTROSPECTION", "SUGGESTIONS"}
    assert first_cells(section("Limits")) == limits
