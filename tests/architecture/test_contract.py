"""The house's own rules, those that no linter checks."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FILE_LINES_MAX = 400
FUNCTION_LINES_MAX = 70
LOCKS = ("requirements.lock", "requirements-dev.lock")


@cache
def _project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


@cache
def _own_files() -> tuple[Path, ...]:
    return (*ROOT.glob("*.py"), *(path for room in (*_rooms(), "tests") for path in (ROOT / room).rglob("*.py")))


def _rooms() -> set[str]:
    packages = {path.parent.name for path in ROOT.glob("*/__init__.py")}
    return packages | {path.stem for path in ROOT.glob("*.py")}


def _contract(identifier: str) -> dict[str, Any]:
    contracts: list[dict[str, Any]] = _project()["tool"]["importlinter"]["contracts"]
    return next(contract for contract in contracts if contract["id"] == identifier)


def _layers(identifier: str) -> set[str]:
    layers = " | ".join(_contract(identifier)["layers"])
    return {name.strip(" ()") for name in layers.split("|")}


def test_every_top_level_package_is_named_in_the_contract() -> None:
    named = {layer.split(".")[0] for layer in _layers("house")}
    # A single module cannot be a layer; a contract of its own says who may import the front door.
    named |= set(_contract("front-door")["forbidden_modules"])
    assert _rooms() == named
    assert set(_project()["tool"]["importlinter"]["root_packages"]) == named - {"app"}


def test_every_room_is_type_checked() -> None:
    assert {name.removesuffix(".py") for name in _project()["tool"]["mypy"]["files"]} == _rooms() | {"tests"}


def test_the_schema_package_is_empty() -> None:
    assert (ROOT / "schema" / "__init__.py").read_bytes() == b""


def test_tests_shadow_no_room() -> None:
    assert list((ROOT / "tests").rglob("__init__.py")) == []


def test_files_stay_short() -> None:
    assert {str(path): lines for path in _own_files() if (lines := _line_count(path)) > FILE_LINES_MAX} == {}


def test_functions_stay_short() -> None:
    assert {name: lines for name, lines in _functions() if lines > FUNCTION_LINES_MAX} == {}
    assert len(list(_functions())) > 100


@pytest.mark.parametrize("lock", LOCKS)
def test_locks_hold_hashes_and_no_host(lock: str) -> None:
    text = (ROOT / lock).read_text(encoding="utf-8")
    requirements = re.findall(r"(?m)^([a-z0-9._-]+)==.*(?:\n    --hash=sha256:[0-9a-f]{64}.*)+", text)
    assert len(requirements) == len(re.findall(r"(?m)^[^#\s]", text)) > 20
    assert not re.search(r"(?i)https?:|file:|//|--(extra-)?index|--find-links|\.(org|com|net|io|cn)\b", text)


def test_locks_agree() -> None:
    runtime, development = (_pinned(lock) for lock in LOCKS)
    assert runtime.items() <= development.items()


def test_locks_hold_what_the_project_asks_for() -> None:
    runtime, development = (_pinned(lock) for lock in LOCKS)
    assert _names(_project()["project"]["dependencies"]) <= set(runtime)
    assert _names(_project()["dependency-groups"]["dev"]) <= set(development)


def _line_count(path: Path) -> int:
    return len(path.read_text(encoding="utf-8").splitlines())


def _functions() -> Iterator[tuple[str, int]]:
    for path in _own_files():
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                yield f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", node.end_lineno - node.lineno + 1


def _pinned(lock: str) -> dict[str, str]:
    text = (ROOT / lock).read_text(encoding="utf-8")
    return dict(re.findall(r"(?m)^([a-z0-9._-]+)==([^\s;]+)", text))


def _names(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~;\s]", requirement, maxsplit=1)[0].lower() for requirement in requirements}
