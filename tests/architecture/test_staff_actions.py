"""Whatever staff can change is written down: each mutation for a role leads to a function that records its name."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from app import create_app
from domain.actions import recording
from kernel.settings import Settings
from schema.types.requirements import RequiresRole, requirements_of

ROOT = Path(__file__).parents[2]
SCHEMA = create_app(Settings()).house._schema._schema
RECORDERS = {"acting", "record", "recorded"}
DEPTH_MAX = 4


def staff_mutations() -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield each mutation for a role, with its resolver."""
    mutations = SCHEMA.mutation_type
    assert mutations is not None
    for name, field in mutations.fields.items():
        if any(isinstance(each, RequiresRole) for each in requirements_of(field)):
            definition: Any = field.extensions["strawberry-definition"]
            yield name, inspect.unwrap(definition.base_resolver.wrapped_func)


def called_by(function: Callable[..., Any]) -> Iterator[Any]:
    """Yield what a function calls, or hands on, of the house: functions of its own module and of others."""
    tree = ast.parse(inspect.getsource(function).lstrip())
    scope = inspect.getmodule(function)
    assert scope is not None
    for node in ast.walk(tree):
        if isinstance(node, ast.Name):
            yield getattr(scope, node.id, None)
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            owner = getattr(scope, node.value.id, None)
            if isinstance(owner, ModuleType):
                yield getattr(owner, node.attr, None)


def words_of(function: Callable[..., Any], depth: int = 0) -> Iterator[str]:
    """Yield the texts of a function that records, and of those that lead there."""
    source = inspect.getsource(function)
    scope = inspect.getmodule(function)
    yield from (
        node.value
        for node in ast.walk(ast.parse(source.lstrip()))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
    # A name may stand in a table of the module.
    assert scope is not None
    for node in ast.walk(ast.parse(source.lstrip())):
        table = getattr(scope, node.id, None) if isinstance(node, ast.Name) else None
        if isinstance(table, dict):
            yield from (each for each in table.values() if isinstance(each, str))
    if depth < DEPTH_MAX:
        for each in called_by(function):
            if inspect.isfunction(each) and (each.__module__ or "").startswith("domain."):
                yield from words_of(inspect.unwrap(each), depth + 1)


def records(function: Callable[..., Any], depth: int = 0) -> bool:
    """Whether a function, or one that it calls, writes an action down."""
    recorders = [getattr(recording, name) for name in RECORDERS]
    for each in called_by(function):
        if any(each is recorder for recorder in recorders):
            return True
        of_the_domain = inspect.isfunction(each) and (each.__module__ or "").startswith("domain.")
        if of_the_domain and depth < DEPTH_MAX and records(inspect.unwrap(each), depth + 1):
            return True
    return False


MUTATIONS = dict(staff_mutations())


def test_there_are_mutations_to_look_at() -> None:
    assert {"reviewOrder", "approveCase", "turnSwitch", "retryWork", "approveDifferenceResolution"} <= set(MUTATIONS)


@pytest.mark.parametrize("name", list(MUTATIONS))
def test_each_mutation_for_staff_is_recorded_under_its_own_name(name: str) -> None:
    assert records(MUTATIONS[name]), f"{name} changes something that nobody can look up afterwards"
    assert name in set(words_of(MUTATIONS[name])), f"{name} is recorded under another name"


def test_a_mutation_that_records_nothing_is_found() -> None:
    async def silent() -> int:
        return 1

    assert not records(silent)


def test_the_record_is_written_by_one_room_alone() -> None:
    """Somebody who wrote rows by themselves could leave the chain, the mask or the transaction out."""
    writers = [
        path.relative_to(ROOT).as_posix()
        for room in ("app.py", "domain", "endpoints", "gateways", "jobs", "resolvers", "schema", "subscriptions")
        for path in ([ROOT / room] if room.endswith(".py") else (ROOT / room).rglob("*.py"))
        if "StaffAction.create" in path.read_text(encoding="utf-8")
        or "StaffAction(" in path.read_text(encoding="utf-8")
    ]
    assert [path for path in writers if not path.startswith("schema/types/")] == ["domain/actions/recording.py"]


COMMANDS = {
    "jobs/operators.py": ("add-staff", "remove-staff", "staff-token", "add-offer", "story"),
    "jobs/access.py": (
        "client add", "client rotate", "client disable", "signing-keys rotate", "signing-keys revoke", "enrol-staff",
    ),
    "jobs/held_prices.py": ("release-price", "refuse-price"),
}  # fmt: skip


@pytest.mark.parametrize("path", list(COMMANDS))
def test_commands_of_operators_are_recorded(path: str) -> None:
    tree = ast.parse((ROOT / path).read_text(encoding="utf-8"))
    recorded: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in {"on_record", "on_look"}:
            recorded |= {each.value for each in ast.walk(node) if isinstance(each, ast.Constant)}  # type: ignore[misc]
    assert set(COMMANDS[path]) <= recorded
